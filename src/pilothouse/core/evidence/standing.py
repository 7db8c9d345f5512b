# SPDX-License-Identifier: Apache-2.0
"""Which outcomes still apply to a task after late spans have corrected it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.claim import OTHER_CLAIMS, is_erased, says_done
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import Task

__all__ = ["ONE_OF_SEVERAL", "answers_in_force", "replaces", "standing_outcome", "standing_outcomes"]

ONE_OF_SEVERAL = "the task claims several different things, and only the first was asked about"
"""What a confirmation of such a task says first."""


def standing_outcome(task: Task, outcome: Outcome | None) -> Outcome | None:
    """Return an outcome as it applies to a task now, or None when it no longer does.

    A confirmation confirms the claim that was asked about and no other, so a task that claims several different things is
    unverifiable. A contradiction stays, and so does a critical mistake: what was found wrong is not undone by saying
    something else later.

    Args:
        task: The task, with every correction.
        outcome: The stored outcome of its trace, if there is one.

    Returns:
        The outcome, bound to the task's agent, type, version and start as they are now.

    Example:
        >>> from datetime import UTC, datetime
        >>> from pilothouse.core.evidence.task import TaskResult
        >>> task = Task(trace_id="a", agent="a", claim='"paid"', result=TaskResult.COMPLETED, start_ns=0, end_ns=1)
        >>> outcome = Outcome(trace_id="a", agent="a", task_type="undeclared", version_digest=None, task_start_ns=0,
        ...     claim='"draft"', status=OutcomeStatus.VERIFIED, found="", critical=None, verifier="v",
        ...     verified_at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> standing_outcome(task, outcome) is None
        True
    """
    if outcome is None:
        return None
    status = outcome.status
    if status is not OutcomeStatus.CONTRADICTED and not _is_about(outcome, task):
        if outcome.critical is None:
            return None
        status = OutcomeStatus.PENDING
    found = outcome.found
    if status is OutcomeStatus.VERIFIED and OTHER_CLAIMS in task.flags:
        status, found = OutcomeStatus.UNVERIFIABLE, f"{ONE_OF_SEVERAL}: {found}" if found else ONE_OF_SEVERAL
    return replace(
        outcome,
        agent=task.agent,
        task_type=task.task_type,
        version_digest=task.version_digest,
        task_start_ns=task.start_ns,
        status=status,
        found=found,
    )


def standing_outcomes(tasks: Iterable[Task], outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """Return the outcomes that apply to tasks now, by trace.

    Of a task that is not given only what speaks against it stays: a confirmation counts with its task.

    Args:
        tasks: The tasks, each trace once.
        outcomes: Outcomes in any order, each trace once.
    """
    by_trace = {task.trace_id: task for task in tasks}
    found = {}
    for outcome in outcomes:
        task = by_trace.get(outcome.trace_id)
        if task is not None:
            stands = standing_outcome(task, outcome)
            if stands is not None:
                found[outcome.trace_id] = stands
        elif outcome.status is not OutcomeStatus.VERIFIED:
            found[outcome.trace_id] = outcome
    return found


def answers_in_force(charter: Charter, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that count under a charter: confirmations of another verifier do not.

    What was found wrong stays, whoever found it. An answer of another form of the same function counts on: a comment in its
    file is no other question.

    Args:
        charter: The charter in force.
        outcomes: Outcomes in any order.
    """
    return [one for one in outcomes if _is_wrong(one) or not _is_of_another(charter, one)]


def _is_wrong(outcome: Outcome) -> bool:
    return outcome.status is OutcomeStatus.CONTRADICTED or outcome.critical is not None


def _is_of_another(charter: Charter, outcome: Outcome) -> bool:
    terms = charter.task_types.get(outcome.task_type)
    asked, named, _digest = outcome.verifier.partition("@sha256:")
    if terms is None or not named:  # no function of a charter gave it
        return False
    verifier = known(terms.verifier)
    return verifier is None or known(verifier.use) != asked


def replaces(later: Outcome, stored: Outcome) -> bool:
    """Return whether a later outcome of a task replaces the stored one.

    A settled answer about the same claim stays: asking again later, when the record has moved on, must not rewrite
    what was true when the claim was checked. Nothing takes the place of one whose claim was erased: whoever asked before
    the erasure and answers after it would bring the person back.
    """
    if is_erased(stored.claim):
        return False
    if stored.status is OutcomeStatus.PENDING or stored.is_unanswered:
        return True  # nobody has answered yet: an outage that outlasted the claim's time is no answer
    if stored.status is OutcomeStatus.CONTRADICTED or stored.critical is not None:
        return False
    return (later.agent, later.task_type, later.claim) != (stored.agent, stored.task_type, stored.claim)


def _is_about(outcome: Outcome, task: Task) -> bool:
    asked = (outcome.agent, outcome.task_type, outcome.claim)
    return says_done(task) and asked == (task.agent, task.task_type, task.claim)
