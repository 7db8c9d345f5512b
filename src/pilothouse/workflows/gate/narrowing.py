# SPDX-License-Identifier: Apache-2.0
"""Which cases a measurement is narrowed to, so that a look at a few does not cost a run of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook, success_of
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.journal_rows import StoredScore
from pilothouse.evals.selection import Selection
from pilothouse.evals.trial import TrialStatus
from pilothouse.workflows.gate.arms import need_stored

__all__ = ["of_types", "that_failed"]


def of_types(selection: Selection, names: Sequence[str]) -> Selection:
    """Keep the cases of some task types; all where none is named.

    Args:
        selection: Cases of a run.
        names: Task types.

    Raises:
        UnknownName: No case is of such a type.
    """
    known = {case.task_type for case in selection.cases}
    for name in names:
        if name not in known:
            raise UnknownName.among(
                "task type among these cases",
                name,
                sorted(known),
                remedy="See what a dataset holds: `pilothouse dataset show DATASET`.",
            )
    return _kept(selection, lambda case: case.task_type in names) if names else selection


def that_failed(
    selection: Selection,
    *,
    candidate: str,
    journal: Journal,
    dataset: Dataset,
    book: CheckBook,
    deadline_s: float,
) -> tuple[Selection, str]:
    """Keep the cases that did not succeed when another version ran them last, or else this one.

    What has no score did not succeed; what did not run is left out. The same version is looked at only where no other one ran, so
    that the same command goes on with the same cases after it was stopped.

    Args:
        selection: Cases of a run.
        candidate: The version that is measured now.
        journal: Stored trials.
        dataset: The cases; a run on another form of them says nothing of these.
        book: Checks of each case.
        deadline_s: Seconds that a case had.

    Returns:
        The cases left, and what a reader must know.

    Raises:
        UsageError: Nothing ran on these cases, or nothing failed.
    """
    runs = journal.runs_on(dataset.digest)
    last = next((one.candidate for one in runs if one.candidate != candidate), candidate)
    if not runs:
        raise UsageError(
            "no run on these cases is stored, so none failed.",
            remedy="Run all of them once, without --only-failed.",
            subject=str(dataset.path),
        )
    arm = need_stored(journal, last, deadline_s=deadline_s)
    keys = {arm.keys(case)[0]: case for case in selection.cases}
    scores: dict[str, list[StoredScore]] = defaultdict(list)
    for one in journal.scores(keys):
        scores[one.key].append(one)
    failed = {
        keys[one.key].input_hash
        for one in journal.trials(keys)
        if one.result.status is not TrialStatus.DONE or not _succeeded(keys[one.key], scores[one.key], book)
    }
    if not failed:
        raise UsageError(
            f"no case failed with {last[:12]}.",
            remedy="Run all of them, without --only-failed.",
            subject=last,
        )
    kept = _kept(selection, lambda case: case.input_hash in failed)
    note = (
        f"only the {len(kept.cases)} cases that did not succeed with {last[:12]}: how good the agent is on all of them, this "
        "does not say"
    )
    return kept, note


def _succeeded(case: Case, stored: Sequence[StoredScore], book: CheckBook) -> bool:
    """Whether every check of a case has a score on record that passes."""
    known = {(one.name, one.version, one.case_hash): one.score for one in stored}
    checks = book.of(case)
    found = [known.get((one.name, one.scorer.spec.version, case.case_hash)) for one in checks]
    scores = [one for one in found if one is not None]
    never = [one for check, one in zip(checks, found, strict=True) if check.must_not and one is not None]
    is_good = len(scores) == len(checks) and success_of(scores, pass_at=book.pass_at).value == 1.0
    return is_good and all(one.value == 1.0 for one in never)


def _kept(selection: Selection, is_kept: Callable[[Case], bool]) -> Selection:
    ordinary = {name: tuple(filter(is_kept, cases)) for name, cases in selection.ordinary.items()}
    return replace(
        selection,
        ordinary={name: cases for name, cases in ordinary.items() if cases},
        adversarial=tuple(filter(is_kept, selection.adversarial)),
        golden=tuple(filter(is_kept, selection.golden)),
    )
