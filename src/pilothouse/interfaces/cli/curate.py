# SPDX-License-Identifier: Apache-2.0
"""`pilothouse curate`: what answers of people become; `pilothouse erase`: and how a person's data leave again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilothouse.core.dates import minute
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import Agent, AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.curation.few_shot_lift import Lift

__all__ = ["register"]

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
                "reopened": made.reopened,
                "overruled": made.overruled,
                "unasked": made.unasked,
                "labels_by_week": made.by_week,
            }
            print_json(record)
            return
        manifest = made.dataset.manifest
        say(
            f"{manifest.name} {manifest.version}: {len(made.dataset.cases):,} cases, {len(made.added):,} of them new"
        )
        if made.repeated:
            say(f"  {len(made.repeated):,} left out: a case has nearly the same input already")
        if made.leaks:
            say(f"  {len(made.leaks):,} left out: another split has nearly the same input")
        if made.reopened:
            say(f"  {len(made.reopened):,} taken out: the rubric has changed, and they are asked again")
        if made.overruled:
            say(f"  {len(made.overruled):,} taken out: the answer they rest on does not stand any more")
        if made.unasked:
            say(
                f"  {len(made.unasked):,} left out: it is not on record what was asked; write them by hand with `pilothouse dataset add`"
            )
        for week, count in made.by_week.items():
            say(f"  {week}  {count:,} trusted labels")

    @group.command("few-shot")
    def few_shot(
        agent: Agent = None,
        *,
        beside: Annotated[
            list[Path] | None,
            typer.Option(
                "--beside",
                metavar="FOLDER",
                help="Further dataset whose gate and sealed cases stay hidden; the charter's, and those that were "
                "curated, are read anyway. May be repeated.",
            ),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Build the library of few-shot examples: trusted, none near a case that judges the agent."""
        with services.open_curation(load_settings(home=home)) as curation:
            made = curation.few_shot(agent, beside or [])
        if as_json:
            record = {
                "version": made.version,
                "examples": made.examples,
                "left_out": made.leaking,
                "beside": [str(path) for path in made.beside],
            }
            print_json(record)
            return
        say(
            f"library {made.version[:12]}: {made.examples:,} examples; {made.leaking:,} left out because a case is "
            f"nearly the same ({len(made.beside)} datasets looked at)"
        )
        typer.echo("  what it brings: pilothouse curate lift TARGET", err=True)
        typer.echo(
            "  agents ask for it with pilothouse.few_shots(input), with `pilothouse mcp examples`, or at POST /api/few-shot",
            err=True,
        )

    @group.command("lift")
    def lift(
        target: Annotated[
            str,
            typer.Argument(
                help='python:MODULE:FUNCTION, http://URL, exec:COMMAND get {"input", "examples"}; openai:URL?model=NAME the turns.'
            ),
        ],
        *,
        agent: AgentOption = None,
        version: Annotated[
            str | None, typer.Option(help="Version digest. Default: the version of the charter in force.")
        ] = None,
        k: Annotated[int, typer.Option(help="Examples beside each input.", min=1, max=20)] = 5,
        scorer: Annotated[
            str, typer.Option(help="""Judges answers: NAME or NAME={"json": "args"}.""")
        ] = "exact",
        max_cases: Annotated[
            int, typer.Option(help="Most examples that are asked.", min=20, max=10_000)
        ] = 200,
        deadline: Annotated[float, typer.Option(help="Seconds for one answer.", min=0.001)] = 60.0,
        budget_usd: Annotated[float | None, typer.Option(help="Most money.")] = None,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = Path(".pilothouse/evals.db"),
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Measure what the examples bring: each one is asked with the others beside it, and without any."""
        from pilothouse.workflows.curation.few_shot_lift import LiftRequest

        request = LiftRequest(
            target=target,
            version=version,
            k=k,
            scorer=scorer,
            cases_max=max_cases,
            deadline_s=deadline,
            budget_usd=budget_usd,
            journal=journal,
        )
        with services.open_curation(load_settings(home=home)) as curation:
            _show_lift(curation.lift(agent, request), as_json=as_json)

    @group.command("fine-tuning")
    def fine_tuning(
        agent: Agent = None,
        *,
        out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder.")],
        consent: Annotated[str, typer.Option(help="On what ground these data may train a model.")] = "",
        layout: Annotated[
            str,
            typer.Option(help="How the provider writes a talk: openai (and most others), claude or gemini."),
        ] = "openai",
        home: Home = None,
    ) -> None:
        """Write chat JSON lines of 500 to 2,000 answers; refuses below, and leaves personal data out."""
        with services.open_curation(load_settings(home=home)) as curation:
            made = curation.export(agent, out, consent, layout=layout)
        say(
            f"{out}: {made.train:,} rows to train, {made.validation:,} to validate; "
            f"{made.personal:,} left out for personal data, {made.leaking or 0:,} as nearly cases that judge, "
            f"{made.repeated:,} as nearly another"
        )
        if made.leaking is None:
            typer.echo("  no dataset is there, so nothing says whether a row is a case that judges", err=True)

    @group.command("week")
    def week(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Say what the corrections of seven days achieved: cases, answers that they caught, lift of the examples."""
        from pilothouse.workflows.curation.corrections_week import corrections_in_words

        with services.open_curation(load_settings(home=home)) as curation:
            found = curation.week(agent)
        if as_json:
            print_json(asdict(found))
        else:
            typer.echo(corrections_in_words(found))

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
            print_json([{"from": one.parent, "to": one.child, "at": one.at.isoformat()} for one in edges])
            return
        for one in edges:
            say(f"{one.parent} -> {one.child}  {minute(one.at)}")
        if not edges:
            say(f"Nothing was made from {name}, and it from nothing.")

    @cli.command("erase")
    def erase(
        subject: Annotated[
            str, typer.Argument(help="As it stands in the texts: an address, a number, a trace id.")
        ],
        *,
        dataset: Annotated[
            list[Path] | None,
            typer.Option(
                help="Further dataset folder from which its cases are removed; the charters', and those that were "
                "curated, are looked at anyway. May be repeated."
            ),
        ] = None,
        journal: Annotated[
            Path, typer.Option(help="Where trials of this project are kept; each project has its own.")
        ] = Path(".pilothouse/evals.db"),
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Erase a person's data where they went: telemetry, runs, queue, labels, feedback, examples, datasets, trials, exports."""
        with services.open_curation(load_settings(home=home)) as curation:
            done = curation.erase(subject, dataset or [], actor=command_line_actor(), journal=journal)
        if as_json:
            print_json(done)
            return
        _show_erased(done, journal)


def _show_erased(done: dict[str, Any], journal: Path) -> None:
    for table, count in done["rows"].items():
        say(f"{table.replace('_', ' ')}: {count:,} erased")
    say(f"datasets: {done['cases']:,} cases and {done['answers']:,} answers to cases removed")
    say(
        f"trials: no journal is at {journal}"
        if done["trials"] is None
        else f"trials in {journal}: {done['trials']:,} forgotten"
    )
    for folder, count in done["exported"].items():
        say(f"{folder}: {count:,} training rows removed; a model tuned on them must be tuned again")
    for folder in done["gone"]:
        say(f"  an export held this and is not at {folder} any more: find it and remove the rows")
    for folder in done["untraced"]:
        say(
            f"  {folder} held this, and its rows were changed since: only those that say it went; export the rest again"
        )
    told = "the running server empties them within a minute, and deletes the files of before after a day"
    if done["telemetry"] is not None:
        told = f"{done['telemetry']:,} rows emptied, and the files of before deleted"
    strays = done["records"]
    beside = f" and {strays:,} log records of no trace" if strays else ""
    say(
        f"telemetry: {len(done['traces']) - strays:,} traces{beside}, {told if done['traces'] else 'nothing to do'}"
    )
    if done["named"]:
        say(
            f"  in {done['named']:,} of them it is part of the name of a tool, a model, a service or a kind of error: "
            "such names stay, for verdicts count by them, until the spans and tasks go"
        )
    if done["is_cut"]:
        typer.echo(
            "  that is as many as one erasure looks for, and there may be more: when they are empty, run it again"
        )
    say(f"recorded runs: {done['runs']:,} can no longer be read")
    say(f"results of calls, kept for their repetition: {done['results']:,} forgotten")
    say(f"outcomes: {done['outcomes']:,} keep their status and lose the words of claim and finding")
    say(f"requests and logs that were set aside: {len(done['set_aside']):,} held this and are deleted")
    for path in done["unread"]:
        say(f"  {path} is set aside and cannot be looked through: delete it if this may stand in it")
    for table, count in done["left"].items():
        say(
            f"  {table.replace('_', ' ')}: {count:,} rows hold this and stay; an erasure does not change them"
        )
    typer.echo(
        "  trials of other projects were not searched: run this again in each, or with --journal FILE",
        err=True,
    )
    typer.echo(
        "  payloads of a requester in the audit log: pilothouse audit erase PERSON --reason WHY", err=True
    )


def _show_lift(lift: Lift, *, as_json: bool) -> None:
    from pilothouse.core.statistics.results import NotEnoughEvidence

    found = lift.difference
    measured = None if isinstance(found, NotEnoughEvidence) else found
    if as_json:
        record = {
            "library": lift.library,
            "version": lift.version,
            "n": lift.n,
            "good_with": lift.good_with,
            "good_without": lift.good_without,
            "unscored": lift.unscored,
            "lift": measured and measured.value,
            "low": measured and measured.low,
            "high": measured and measured.high,
        }
        print_json(record)
        return
    say(
        f"{lift.good_with:,} of {lift.n:,} good with examples, {lift.good_without:,} without"
        + (f"; {lift.unscored:,} without a score" if lift.unscored else "")
    )
    if isinstance(found, NotEnoughEvidence):
        say(f"no lift can be stated: {found.reason}. {found.remedy}")
        return
    say(f"lift {100 * found.value:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]")
    typer.echo("  on record for DATA-2: pilothouse verdict", err=True)
