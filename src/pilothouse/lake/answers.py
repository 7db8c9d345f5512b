# SPDX-License-Identifier: Apache-2.0
"""The questions of the port `Lake`, answered alike by whoever writes the lake and by whoever only reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import Task
from pilothouse.lake.queries import LakeQueries
from pilothouse.ports.lake import AgentSeen, Assigned, TaskCursor, TaskFilter, TaskPage, TraceView

__all__ = ["LakeAnswers"]


class LakeAnswers:
    """Implements `Lake` over the queries of a view.

    Args:
        queries: Where the answers come from.
    """

    def __init__(self, queries: LakeQueries) -> None:
        self._queries = queries

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        return self._queries.tasks(wanted, limit=limit, before=before)

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what holds `said` within the window and belongs to no task."""
        return self._queries.strays(wanted)

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding, at most 1,000,000."""
        return self._queries.window(wanted)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace by its full id, or None when nothing has it."""
        return self._queries.trace(trace_id, limit=limit)

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return those of at most 1,000 traces that are stored, by id, each with at most 2,000 spans."""
        return self._queries.traces(trace_ids)

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        return self._queries.agents()

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return which task belongs to which arm of an experiment, at most 200,000."""
        return self._queries.assigned(experiment, from_ns=from_ns, to_ns=to_ns)

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return what evaluators outside of Pilothouse sent in a half-open window, at most 200,000."""
        return self._queries.scores(from_ns=from_ns, to_ns=to_ns)
