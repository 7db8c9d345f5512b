# SPDX-License-Identifier: Apache-2.0
"""Which tasks claim to be done: the claims that a verifier checks and the truth line counts."""

from __future__ import annotations

from pilothouse.core.evidence.task import Task, TaskResult

__all__ = ["ERASED_CLAIM", "OTHER_CLAIMS", "erased_claim", "is_erased", "says_done"]

ERASED_CLAIM = '"[erased]"'
"""What stands in place of a claim of an erased person, in the task and in the outcome that is about it: both still agree."""

OTHER_CLAIMS = "other_claims"
"""Flag of a task whose spans claim different things: only one of them is asked about, so the task is never confirmed."""

_OTHER_ERASED_CLAIM = '"[erased, another claim]"'
"""What stands in an outcome that was about another claim than the task made at last: both still disagree."""


def says_done(task: Task) -> bool:
    """Return whether a task claims to have done its work.

    A task that failed, refused or was given to a person claims nothing. One that names no result claims
    only when it states what it did.

    Args:
        task: The task as its spans tell it.

    Example:
        >>> done = Task(trace_id="0" * 32, agent="a", result=TaskResult.COMPLETED, start_ns=0, end_ns=1)
        >>> says_done(done)
        True
    """
    return task.result is TaskResult.COMPLETED or (
        task.result is TaskResult.UNKNOWN and task.claim is not None
    )


def is_erased(claim: str | None) -> bool:
    """Return whether a claim was erased and so can no longer be checked against the system of record.

    Example:
        >>> is_erased(ERASED_CLAIM), is_erased('"paid"'), is_erased(None)
        (True, False, False)
    """
    return claim in {ERASED_CLAIM, _OTHER_ERASED_CLAIM}


def erased_claim(claim: str | None, of_task: str | None) -> str | None:
    """Return the text that replaces an erased claim; it still tells whether the outcome is about its task.

    Args:
        claim: The claim that was asked about, or None.
        of_task: What the task claims now, before its words are taken; None where nobody knows.

    Example:
        >>> erased_claim('"paid"', '"paid"') == ERASED_CLAIM, erased_claim('"paid"', '"draft"') == ERASED_CLAIM
        (True, False)
    """
    if claim is None or is_erased(claim):
        return claim
    return ERASED_CLAIM if of_task in {claim, None} else _OTHER_ERASED_CLAIM
