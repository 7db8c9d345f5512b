# SPDX-License-Identifier: Apache-2.0
"""`pilothouse replay RUN --to-case DATASET`: an incident becomes a case that every later release is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import say

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.settings import Settings
    from pilothouse.workflows.replay.run import ReplayReport

__all__ = ["make_case"]

HOUR_S = 3_600


def make_case(
    services: Services,
    settings: Settings,
    run: str,
    reports: tuple[ReplayReport, ...],
    *,
    dataset: Path,
    by: str | None,
    expect: Path | None,
    forbidden: tuple[str, ...],
    task_type: str | None,
) -> None:
    """Add the run to a dataset and say what was made of it.

    Args:
        services: Openers.
        settings: Values in force.
        run: Run id, or enough of its beginning.
        reports: Its strict replays.
        dataset: Folder of the dataset.
        by: Person of the charter who says what is right.
        expect: File with the right answer, JSON or text.
        forbidden: Tools that must not be called.
        task_type: Task type, or None.

    Raises:
        UsageError: Something is missing.
    """
    from pilothouse.core.charter.answers import known
    from pilothouse.workflows.curation.replay_case import Expectation, case_of_run, keep_case

    if by is None:
        raise UsageError(
            "a case is what a person says is right", remedy="Say who: `--by PERSON`", subject=run
        )
    with services.open_run_log(settings) as log:
        recorded = log.read(run)
    expectation = Expectation(by=by, answer=_answer(expect), forbidden=forbidden)
    with services.open_curation(settings) as desk:
        charter, now = desk.directory.one(recorded.summary.agent), services.clock.now()
        made = case_of_run(recorded, reports, expectation, charter, task_type=task_type, now=now)
        owner = known(charter.raci.benchmarks.accountable) or ""
        kept = keep_case(made, dataset, desk.store, agent=charter.agent, owner=owner, now=now)
    version = kept.dataset.manifest.version if kept.dataset is not None else ""
    say(
        f"{kept.case.id} is a case of {dataset.name} {version}, {kept.waited.total_seconds() / HOUR_S:.1f} h after "
        f"the run; {len(kept.fixtures)} tool results are kept beside it"
    )
    if kept.case.stratum != "incident":
        typer.echo(
            "Its model calls were replayed, not the agent's code: with --exec it counts as reproduced."
        )
    say(f"It is asked from the next gate on: pilothouse gate --candidate TARGET --dataset {dataset}")


def _answer(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read", remedy=f"Look: `ls -l {file}`", subject=str(file)
        ) from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or None
