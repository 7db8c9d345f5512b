# SPDX-License-Identifier: Apache-2.0
"""Which tasks say that they are done: the claims that a verifier checks and the truth line counts."""

from __future__ import annotations

from pilothouse.core.evidence.task import Task, TaskResult

__all__ = ["says_done"]


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
