# SPDX-License-Identifier: Apache-2.0
"""Classify the failure of a task as a countable kind: which error, and where (task + failed tools -> kind)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.evidence.task import Task, TaskResult

__all__ = ["AGENT", "ERROR_CHARS_MAX", "MODEL", "TOOL", "FailureKind", "failure_of"]

TOOL, MODEL, AGENT = "tool", "model", "agent"
"""Where a task failed: in a call of a tool, in a call of a model, or in the agent's own code."""

ERROR_CHARS_MAX = 80
"""Characters of an error's name that tell kinds apart; some programs write whole sentences there."""

UNNAMED = "unnamed"
"""Error of a task that failed without a word."""


@dataclass(frozen=True, slots=True, order=True)
class FailureKind:
    """One kind of failure.

    Attributes:
        error: Kind of the error, as its span says it.
        place: `TOOL`, `MODEL` or `AGENT`.
        tool: The tool, as telemetry names it; empty elsewhere, or when several were called and nobody knows which.
    """

    error: str
    place: str
    tool: str = ""

    @property
    def where(self) -> str:
        """Where it happened, in words.

        Example:
            >>> FailureKind("timeout", TOOL, "erp.find_po").where, FailureKind("KeyError", AGENT).where
            ('tool erp.find_po', "the agent's code")
        """
        words = {TOOL: f"tool {self.tool}" if self.tool else "a tool", MODEL: "the model"}
        return words.get(self.place, "the agent's code")


def failure_of(task: Task, failed_tools: Sequence[str] = ()) -> FailureKind | None:
    """Return the kind of a task's failure; None for a task that did not fail.

    Args:
        task: The task.
        failed_tools: Tools whose calls failed, in the order of the calls, where its trace was read.

    Returns:
        The last failed tool is taken for the place: what failed before it was survived. A model is the place where no tool
        failed and a call of a model did.

    Example:
        >>> task = Task(trace_id="a" * 32, agent="a", result=TaskResult.FAILED, error_type="timeout", start_ns=0, end_ns=1,
        ...     tool_errors=1, tools=("find",))
        >>> failure_of(task)
        FailureKind(error='timeout', place='tool', tool='find')
    """
    if task.result is not TaskResult.FAILED:
        return None
    error = (task.error_type or UNNAMED)[:ERROR_CHARS_MAX]
    if failed_tools:
        return FailureKind(error, TOOL, failed_tools[-1])
    if task.tool_errors:
        return FailureKind(error, TOOL, task.tools[0] if len(task.tools) == 1 else "")
    return FailureKind(error, MODEL if task.model_errors else AGENT)
