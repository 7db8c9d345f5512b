# SPDX-License-Identifier: Apache-2.0
"""`pilothouse dataset`: make, show, compare and split sets of cases, and find what they lack."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import PilothouseError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, say
from pilothouse.interfaces.cli.dataset_tail import add_tail
from pilothouse.interfaces.cli.gate_options import charter_here
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]

IDS_SHOWN_MAX = 20


def register(cli: typer.Typer, services: Services) -> None:
    """Add `dataset add | show | diff | split | tail` to the command tree."""
    group = typer.Typer(help="Sets of cases: versioned by content, checked for leaks.", no_args_is_help=True)
    cli.add_typer(group, name="dataset")
    add_tail(group, services)

    @group.command("add")
    def add(
        path: Annotated[Path, typer.Argument(help="Folder of the dataset; made if it is missing.")],
        files: Annotated[
            list[Path] | None,
            typer.Argument(help="JSON-lines files. Without any, edits by hand become the next version."),
        ] = None,
        owner: Annotated[str, typer.Option(help="Who answers for it.")] = "",
        population: Annotated[str, typer.Option(help="In words, what the cases stand for.")] = "",
    ) -> None:
        """Add cases; every change is a new version with a new hash."""
        from pilothouse.workflows.gate.datasets import add_cases

        dataset = add_cases(
            path, files or [], owner=owner, population=population, task_type=_type_of_bare_cases()
        )
        say(
            f"{dataset.manifest.name} {dataset.manifest.version}: {len(dataset.cases)} cases, {dataset.digest[:12]}"
        )
        hint_console().print(
            escape(
                f"  for the verdict, read it: pilothouse dataset show {shlex.quote(str(path))} --record AGENT"
            )
        )

    @group.command("show")
    def show(
        *,
        path: Annotated[Path, typer.Argument(help="Folder or JSON-lines file.")],
        margin: Annotated[float, typer.Option(help="Margin to decide, points.")] = 5.0,
        shown: Annotated[
            list[Path] | None,
            typer.Option(
                "--shown",
                help="Prompt or few-shot file or folder the model sees: tested for leaks. With --record those of the charter are looked through too.",
            ),
        ] = None,
        record: Annotated[
            str | None, typer.Option(help="Agent: put what was measured on record for `verdict`.")
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what a dataset holds, what is wrong with it, and which margins it can decide."""
        from pilothouse.evals.dataset import load_dataset
        from pilothouse.interfaces.cli.dataset_text import print_summary
        from pilothouse.workflows.curation.likeness import likeness_evidence, measure_likeness
        from pilothouse.workflows.gate.datasets import dataset_evidence, read_shown_texts, summarize_dataset
        from pilothouse.workflows.gate.named_sets import named_sets

        dataset = load_dataset(path)
        texts = read_shown_texts(shown or [])
        summary = summarize_dataset(dataset, margin_points=margin, shown=texts)
        if as_json:
            print_json(asdict(summary))
        else:
            print_summary(summary, margin)
        if record is not None:
            with services.open_installation(load_settings(home=home)) as installation:
                now = installation.clock.now()
                likeness = measure_likeness(installation, dataset, record, now)
                named = named_sets(installation.ledger, record, dataset)
                paths, are_all = named.shown(shown or [])
                records = named.only(
                    (
                        *dataset_evidence(
                            dataset,
                            agent=record,
                            at=now,
                            shown=read_shown_texts(paths),
                            is_shown_complete=are_all,
                            terms=named.terms,
                            charter=named.charter,
                        ),
                        *likeness_evidence(likeness, dataset, agent=record, now=now, charter=named.charter),
                    )
                )
                installation.ledger.add_evidence(records)
            hint_console().print(escape(likeness.sentence))
            hint_console().print(f"{len(records)} records for {escape(record)}")
            if named.sentence:
                hint_console().print(escape(named.sentence))

    @group.command("diff")
    def diff(
        before: Annotated[Path, typer.Argument(help="Earlier version.")],
        after: Annotated[Path, typer.Argument(help="Later version.")],
        as_json: AsJson = False,
    ) -> None:
        """Show which cases must run again and which only need scoring again."""
        from pilothouse.evals.dataset import diff_datasets, load_dataset

        found = diff_datasets(load_dataset(before).cases, load_dataset(after).cases)
        if as_json:
            print_json(asdict(found))
            return
        for words, ids in (
            ("added", found.added),
            ("removed", found.removed),
            ("input changed (runs again)", found.input_changed),
            ("expectation changed (scored again, nothing runs)", found.expectation_changed),
        ):
            more = f" and {len(ids) - IDS_SHOWN_MAX} more" if len(ids) > IDS_SHOWN_MAX else ""
            say(f"{len(ids):>6} {words}{': ' + ', '.join(ids[:IDS_SHOWN_MAX]) + more if ids else ''}")
        say(
            f"{percentage(found.kept_share):>7} of the earlier inputs are kept; under 95 % a baseline runs again"
        )

    @group.command("split")
    def split(
        path: Annotated[Path, typer.Argument(help="Folder of the dataset.")],
        dev: Annotated[float, typer.Option(help="Share of clusters to look at freely.")] = 0.2,
        sealed: Annotated[float, typer.Option(help="Share of clusters to keep sealed.")] = 0.2,
        seed: Annotated[int, typer.Option(help="The same seed gives the same splits.")] = 0,
    ) -> None:
        """Assign splits by whole clusters, evenly over task types and strata."""
        from pilothouse.evals.dataset import load_dataset, write_dataset
        from pilothouse.workflows.gate.datasets import split_cases, summarize_dataset

        dataset = load_dataset(path)
        cases = split_cases(dataset, dev_share=dev, sealed_share=sealed, seed=seed)
        write_dataset(path, dataset.manifest, cases)
        counts = summarize_dataset(load_dataset(path)).by_split
        say(", ".join(f"{count} {name}" for name, count in sorted(counts.items())))


def _type_of_bare_cases() -> str:
    """Return the only task type of the charter in this folder, as far as it can be read; else what no charter declares."""
    from pilothouse.connectors.charter_file import read_charter_file
    from pilothouse.evals.dataset import BARE_TASK_TYPE

    here = charter_here()
    try:
        value = read_charter_file(here).value if here else None
    except PilothouseError:
        return BARE_TASK_TYPE
    types = value.get("task_types") if isinstance(value, dict) else None
    return str(*types) if isinstance(types, dict) and len(types) == 1 else BARE_TASK_TYPE
