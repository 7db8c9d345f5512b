# SPDX-License-Identifier: Apache-2.0
"""Measurements from the outcomes of one task type: truth, quality by the system of record, critical mistakes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.claim import is_erased, says_done
from pilothouse.core.evidence.effective_counts import rate_counts
from pilothouse.core.evidence.measurement import Measurement
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import Task

__all__ = [
    "answer_term",
    "measure_critical",
    "measure_discrepancy",
    "measure_quality",
    "measure_sampling",
    "measure_unverifiable",
    "quality_is_outcome",
]


def quality_is_outcome(charter: Charter, name: str) -> bool:
    """Return whether quality of a task type is what the system of record confirms.

    It is when the type has a verifier and its metric is not one of the charter's judges: then the
    verifier is the scorer.
    """
    terms = charter.task_types[name]
    judges = {judge.name for judge in known(charter.model.judges) or ()}
    return terms.verifier is not None and terms.metric not in judges


def _ids(outcomes: Sequence[Outcome], *statuses: OutcomeStatus) -> tuple[str, ...]:
    return tuple(outcome.trace_id for outcome in outcomes if outcome.status in statuses)


def _worth(
    tasks: Sequence[Task], wrong: Collection[str], right: Collection[str], silent: Collection[str] = ()
) -> dict[str, int]:
    """Return the effective number of answered tasks, where some are turns of one conversation."""
    conversations = {task.trace_id: task.conversation for task in tasks}
    counted = [*wrong, *right, *silent]
    good = [False] * len(wrong) + [True] * len(right) + [None] * len(silent)
    return rate_counts(good, [conversations.get(one) for one in counted])


def _claims(
    kind: str,
    tasks: Sequence[Task],
    outcomes: Sequence[Outcome],
    bad: OutcomeStatus,
    *good: OutcomeStatus,
) -> Measurement | None:
    wrong, right = _ids(outcomes, bad), _ids(outcomes, *good)
    if not wrong and not right:
        return None
    pending = len(_ids(outcomes, OutcomeStatus.PENDING))
    return Measurement(
        kind=kind,
        n=len(wrong) + len(right),
        good=len(right),
        items=wrong,
        counts=({"pending": pending} if pending else {}) | _worth(tasks, wrong, right),
    )


def measure_discrepancy(
    _charter: Charter, _name: str | None, tasks: Sequence[Task], outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count contradicted claims among those that the system of record answers."""
    return _claims("discrepancy", tasks, outcomes, OutcomeStatus.CONTRADICTED, OutcomeStatus.VERIFIED)


def measure_unverifiable(
    charter: Charter, name: str, tasks: Sequence[Task], outcomes: Sequence[Outcome], *, at_ns: int
) -> Measurement | None:
    """Count claims that cannot be checked; an unanswered one counts against the proof after its term.

    A verifier that cannot be loaded, or a system that nobody reaches, answers nothing: what was answered before says
    nothing about what came since, and an outage is no breach of the agent's, which would be rolled back for it.

    Args:
        charter: The charter; the terms of the verifier say how long an answer may take.
        name: Task type.
        tasks: Its tasks.
        outcomes: Their outcomes.
        at_ns: The moment, Unix nanoseconds UTC.
    """
    answered = [outcome for outcome in outcomes if not outcome.is_unanswered]
    found = _claims(
        "unverifiable",
        tasks,
        answered,
        OutcomeStatus.UNVERIFIABLE,
        OutcomeStatus.VERIFIED,
        OutcomeStatus.CONTRADICTED,
    )
    term = answer_term(charter, name)
    if found is None or term is None:
        return found
    settled = {outcome.trace_id for outcome in answered if outcome.status is not OutcomeStatus.PENDING}
    over_ns = at_ns - term // timedelta(microseconds=1) * 1_000
    late = [
        task.trace_id
        for task in tasks
        if says_done(task)
        and task.end_ns < over_ns
        and task.trace_id not in settled
        and not is_erased(task.claim)
    ]
    if not late:
        return found
    right = _ids(outcomes, OutcomeStatus.VERIFIED, OutcomeStatus.CONTRADICTED)
    worth = _worth(tasks, found.items, right, late)
    pending = {"pending": found.counts["pending"]} if "pending" in found.counts else {}
    return replace(found, n=found.n + len(late), counts={**pending, "unknown": len(late), **worth})


def answer_term(charter: Charter, name: str) -> timedelta | None:
    """Return how long after a task its claim may go without an answer, or None while the charter does not say."""
    verifier = known(charter.task_types[name].verifier)
    after, retry_for = (
        (None, None) if verifier is None else (known(verifier.after), known(verifier.retry_for))
    )
    return None if after is None or retry_for is None else after + retry_for


def measure_quality(
    charter: Charter, name: str, tasks: Sequence[Task], outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count confirmed claims, where the system of record is the metric of the task type."""
    if not quality_is_outcome(charter, name):
        return None
    return _claims("quality", tasks, outcomes, OutcomeStatus.CONTRADICTED, OutcomeStatus.VERIFIED)


def measure_sampling(
    charter: Charter, name: str, tasks: Sequence[Task], outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count scored tasks among those that claim to have done their work."""
    claiming = {task.trace_id for task in tasks if says_done(task)}
    if not claiming or not quality_is_outcome(charter, name):
        return None
    answered = set(_ids(outcomes, OutcomeStatus.VERIFIED, OutcomeStatus.CONTRADICTED))
    return Measurement(kind="sampling", n=len(claiming), good=len(claiming & answered))


def measure_critical(
    _charter: Charter, _name: str | None, tasks: Sequence[Task], outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count tasks with a mistake that must never happen among those the system of record answers."""
    looked = [
        outcome
        for outcome in outcomes
        if outcome.critical is not None
        or outcome.status in {OutcomeStatus.VERIFIED, OutcomeStatus.CONTRADICTED}
    ]
    if not looked:
        return None
    wrong = [outcome for outcome in looked if outcome.critical is not None]
    names = sorted({outcome.critical for outcome in wrong if outcome.critical is not None})
    first = f"; first in task {wrong[0].trace_id[:8]}" if wrong else ""
    return Measurement(
        kind="critical",
        n=len(looked),
        good=len(looked) - len(wrong),
        detail=f"{', '.join(names)}{first}",
        items=tuple(outcome.trace_id for outcome in wrong),
        counts=_worth(
            tasks,
            [outcome.trace_id for outcome in wrong],
            [outcome.trace_id for outcome in looked if outcome.critical is None],
        ),
    )
