# SPDX-License-Identifier: Apache-2.0
"""A lake that reads each window of tasks once, for work that asks for the same weeks again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.ports.lake import AgentSeen, Assigned, Lake, TaskCursor, TaskFilter, TaskPage, TraceView

__all__ = ["OneReading"]


class OneReading:
    """A `ports.Lake` for one piece of work; let it go afterwards, for it holds the tasks it has read.

    Args:
        lake: What is read.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._read: dict[TaskFilter, tuple[int, int, Sequence[Task]]] = {}

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window, out of a longer one that was read before where there is one."""
        if wanted.from_ns is None or wanted.to_ns is None:
            return self._lake.window(wanted)  # which says what is missing
        asked = replace(wanted, from_ns=None, to_ns=None)
        if asked in self._read:
            start, end, tasks = self._read[asked]
            if (start, end) == (wanted.from_ns, wanted.to_ns):
                return tasks
            if start <= wanted.from_ns and wanted.to_ns <= end:
                return tuple(task for task in tasks if wanted.from_ns <= task.start_ns < wanted.to_ns)
        tasks = self._lake.window(wanted)
        self._read[asked] = (wanted.from_ns, wanted.to_ns, tasks)
        return tasks

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first."""
        return self._lake.tasks(wanted, limit=limit, before=before)

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what holds a phrase and belongs to no task."""
        return self._lake.strays(wanted)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace."""
        return self._lake.trace(trace_id, limit=limit)

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return several traces."""
        return self._lake.traces(trace_ids)

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks."""
        return self._lake.agents()

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return which task belongs to which arm of an experiment."""
        return self._lake.assigned(experiment, from_ns=from_ns, to_ns=to_ns)

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return external scores of a window."""
        return self._lake.scores(from_ns=from_ns, to_ns=to_ns)
