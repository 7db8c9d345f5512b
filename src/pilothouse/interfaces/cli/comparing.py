# SPDX-License-Identifier: Apache-2.0
"""`pilothouse eval compare` and `eval import`: two runs case by case, and what another harness wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pilothouse.core.verdict.numbers import percentage
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.workflows.gate.compare import ComparedRuns

__all__ = ["add_commands"]

JOURNAL = Path(".pilothouse/evals.db")
FLIPS_SHOWN_MAX = 10


def add_commands(group: typer.Typer, services: Services) -> None:
    """Add `compare` and `import` to `pilothouse eval`."""

    @group.command("compare")
    def compare(
        *,
        before: Annotated[
            str,
            typer.Argument(
                help="A target's address or a version digest, run before; an Inspect log; or JSON lines of id and value."
            ),
        ],
        after: Annotated[str, typer.Argument(help="The other side, in any of these forms.")],
        dataset: Annotated[Path | None, typer.Option(help="Cases, for a version of the journal.")] = None,
        metric: Annotated[str | None, typer.Option(help="Which scorer, where there are several.")] = None,
        pass_at: Annotated[float, typer.Option(help="Least value of a success.")] = 0.5,
        journal: Annotated[Path, typer.Option(help="Where trials are kept.")] = JOURNAL,
        as_json: AsJson = False,
    ) -> None:
        """Show the paired difference of two runs with its interval, for each task type and stratum; no verdict."""
        from pilothouse.evals.dataset import load_dataset
        from pilothouse.workflows.gate.compare import compare_runs, read_side

        cases = load_dataset(dataset) if dataset is not None else None
        sides = [
            read_side(one, journal=journal, dataset=cases, metric=metric, pass_at=pass_at)
            for one in (before, after)
        ]
        found = compare_runs(*sides, pass_at=pass_at)
        if not found.parts[0].pairs:
            raise UsageError(
                "the two sides share no scored case.",
                remedy="Compare runs on the same cases: ids must be equal.",
            )
        if as_json:
            print_json(found.as_record())
        else:
            _print(found)

    @group.command("import")
    def import_scores(
        *,
        file: Annotated[
            Path, typer.Argument(help="An Inspect log (.eval, .json), or JSON lines of id and value.")
        ],
        agent: Annotated[str, typer.Option(help="Agent it speaks of.")],
        version: Annotated[str, typer.Option(help="Version digest that was run.")],
        dataset: Annotated[Path | None, typer.Option(help="Dataset whose cases were run.")] = None,
        task_type: Annotated[
            str | None, typer.Option(help="Task type of the charter, for a file that names none.")
        ] = None,
        metric: Annotated[str | None, typer.Option(help="Which scorer, where there are several.")] = None,
        pass_at: Annotated[float, typer.Option(help="Least value of a success.")] = 0.5,
        home: Home = None,
    ) -> None:
        """Put another harness's scores on record as imported: they can show harm, and prove nothing."""
        from dataclasses import replace

        from pilothouse.evals.dataset import load_dataset
        from pilothouse.evals.foreign_scores import read_foreign_scores
        from pilothouse.workflows.gate.compare import imported_evidence
        from pilothouse.workflows.ground.in_force import charter_if_any

        run = read_foreign_scores(file, scorer=metric)
        if task_type is not None:
            run = replace(run, scores=tuple(replace(one, task_type=task_type) for one in run.scores))
        digest = load_dataset(dataset).digest if dataset is not None else None
        with services.open_installation(load_settings(home=home)) as installation:
            now = installation.clock.now()
            records = imported_evidence(
                run,
                agent=agent,
                version=version,
                dataset=digest,
                at=now,
                pass_at=pass_at,
                charter=charter_if_any(installation.ledger, agent),
            )
            installation.ledger.add_evidence(records)
        missing = sum(one.value is None for one in run.scores)
        for one in records:
            say(f"{one.scope.label}: {one.good} of {one.n} good ({run.harness}, {run.scorer})")
        say(f"{len(run.scores)} scores read, {missing} without a value")
        hint_console().print(
            f"{len(records)} imported records for {escape(agent)}: they can show harm and prove nothing"
        )


def _print(found: ComparedRuns) -> None:
    console = result_console()
    for one in found.parts:
        if one.difference is None or one.before is None or one.after is None:
            continue
        ends = (
            f"[{one.low:+.1f}, {one.high:+.1f}]"
            if one.low is not None and one.high is not None
            else "no interval"
        )
        of = f"{one.pairs} pairs" + (f", {one.clusters} clusters" if one.clusters < one.pairs else "")
        console.print(
            escape(
                f"{one.part:<28} {percentage(one.before):>7} -> {percentage(one.after):>7}  {one.difference:+5.1f} points {ends}  {of}"
            )
        )
        if one.note:
            console.print(escape(f"  {one.note}"))
    for words, ids in (("worse", found.worse), ("better", found.better)):
        more = f" and {len(ids) - FLIPS_SHOWN_MAX} more" if len(ids) > FLIPS_SHOWN_MAX else ""
        console.print(
            escape(f"{len(ids)} {words}{': ' + ', '.join(ids[:FLIPS_SHOWN_MAX]) + more if ids else ''}")
        )
    if found.only_before or found.only_after or found.unscored:
        console.print(
            escape(
                f"left out: {found.only_before} only before, {found.only_after} only after, {found.unscored} without a score"
            )
        )
