# SPDX-License-Identifier: Apache-2.0
"""`pilothouse curate`: what answers of people become; `pilothouse erase`: and how a person's data leave again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

Agent = Annotated[str | None, typer.Argument(help="Agent id; may be left out where there is only one.")]
Dataset = Annotated[
    Path, typer.Option("--into", metavar="FOLDER", help="Folder of the dataset; made if missing.")
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `curate` group and `erase` to the command tree."""
    group = typer.Typer(
        help="Turn people's answers into cases, few-shot examples and training rows.", no_args_is_help=True
    )
    cli.add_typer(group, name="curate")

    @group.command("cases")
    def cases(agent: Agent = None, *, into: Dataset, home: Home = None, as_json: AsJson = False) -> None:
        """Add trusted answers to a dataset as cases: each input once, none in two splits, with their lineage."""
        with services.open_curation(load_settings(home=home)) as curation:
            made = curation.cases(agent, into)
        if as_json:
            record = {
                "dataset": made.dataset.manifest.name,
                "version": made.dataset.manifest.version,
                "digest": made.dataset.digest,
                "added": made.added,
                "repeated": made.repeated,
                "leaks": made.leaks,
                "labels_by_week": made.by_week,
            }
            typer.echo(json.dumps(record))
            return
        manifest = made.dataset.manifest
        typer.echo(
            f"{manifest.name} {manifest.version}: {len(made.dataset.cases):,} cases, {len(made.added):,} of them new"
        )
        if made.repeated:
            typer.echo(f"  {len(made.repeated):,} left out: a case has nearly the same input already")
        if made.leaks:
            typer.echo(f"  {len(made.leaks):,} left out: another split has nearly the same input")
        for week, count in made.by_week.items():
            typer.echo(f"  {week}  {count:,} trusted labels")

    @group.command("few-shot")
    def few_shot(
        agent: Agent = None,
        *,
        beside: Annotated[
            Path,
            typer.Option(
                "--beside", metavar="FOLDER", help="Dataset whose gate and sealed cases stay hidden."
            ),
        ],
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Build the library of few-shot examples: trusted, none near a case that judges the agent."""
        with services.open_curation(load_settings(home=home)) as curation:
            version, count, leaking = curation.few_shot(agent, beside)
        if as_json:
            typer.echo(json.dumps({"version": version, "examples": count, "left_out": leaking}))
            return
        typer.echo(
            f"library {version[:12]}: {count:,} examples; {leaking:,} left out because a case is nearly the same"
        )
        typer.echo(
            "  agents ask for them at POST /api/few-shot; `pilothouse feedback key` shows the key", err=True
        )

    @group.command("fine-tuning")
    def fine_tuning(
        agent: Agent = None,
        *,
        out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder.")],
        consent: Annotated[str, typer.Option(help="On what ground these data may train a model.")] = "",
        home: Home = None,
    ) -> None:
        """Write chat JSON lines of 500 to 2,000 answers; refuses below, and leaves personal data out."""
        with services.open_curation(load_settings(home=home)) as curation:
            train, validation, personal = curation.export(agent, out, consent)
        typer.echo(
            f"{out}: {train:,} rows to train, {validation:,} to validate; {personal:,} left out for personal data"
        )

    @group.command("lineage")
    def lineage(
        name: Annotated[
            str,
            typer.Argument(
                help="trace:ID, item:ID, case:ID, few-shot:ID or export:DIGEST; or a bare trace id."
            ),
        ],
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what something was made from, and what was made from it."""
        with services.open_curation(load_settings(home=home)) as curation:
            edges = curation.lineage(name if ":" in name else f"trace:{name}")
        if as_json:
            typer.echo(
                json.dumps([{"from": one.parent, "to": one.child, "at": one.at.isoformat()} for one in edges])
            )
            return
        for one in edges:
            typer.echo(f"{one.parent} -> {one.child}  {one.at:%Y-%m-%d %H:%M} UTC")
        if not edges:
            typer.echo(f"Nothing was made from {name}, and it from nothing.")

    @cli.command("erase")
    def erase(
        subject: Annotated[
            str, typer.Argument(help="As it stands in the texts: an address, a number, a trace id.")
        ],
        *,
        dataset: Annotated[
            list[Path] | None,
            typer.Option(help="Dataset folder from which its cases are removed; may be repeated."),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Erase a person's data where they went: queue, labels, feedback, few-shot examples and datasets."""
        with services.open_curation(load_settings(home=home)) as curation:
            done = curation.erase(subject, dataset or [], actor=command_line_actor())
        if as_json:
            typer.echo(json.dumps(done))
            return
        for table, count in done["rows"].items():
            typer.echo(f"{table.replace('_', ' ')}: {count:,} erased")
        typer.echo(f"datasets: {done['cases']:,} cases removed")
        for trace in done["traces"]:
            typer.echo(f"  still in telemetry until its retention ends: {trace}")
