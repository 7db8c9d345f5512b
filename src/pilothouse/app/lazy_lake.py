# SPDX-License-Identifier: Apache-2.0
"""A lake that is opened by its first query: a command about people or permissions never opens it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.core.evidence.score import Score
    from pilothouse.core.evidence.task import Task
    from pilothouse.lake.store import LakeReader
    from pilothouse.ports.clock import Clock
    from pilothouse.ports.lake import AgentSeen, Assigned, TaskCursor, TaskFilter, TaskPage, TraceView

__all__ = ["LazyLake"]


class LazyLake:
    """The lake of a folder; the first query loads its libraries and replays what a killed server left."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._opening = threading.Lock()
        self._opened: LakeReader | None = None

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first."""
        return self._lake().tasks(wanted, limit=limit, before=before)

    def strays(self, wanted: TaskFilter) -> Sequence[str]:
        """Return what holds a phrase and belongs to no task."""
        return self._lake().strays(wanted)

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window."""
        return self._lake().window(wanted)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace by its full id."""
        return self._lake().trace(trace_id, limit=limit)

    def traces(self, trace_ids: Sequence[str]) -> Mapping[str, TraceView]:
        """Return several traces by their ids."""
        return self._lake().traces(trace_ids)

    def agents(self) -> Sequence[AgentSeen]:
        """Return every agent that has been seen."""
        return self._lake().agents()

    def assigned(self, experiment: str, *, from_ns: int, to_ns: int) -> Sequence[Assigned]:
        """Return which tasks an experiment assigned to which arm."""
        return self._lake().assigned(experiment, from_ns=from_ns, to_ns=to_ns)

    def scores(self, *, from_ns: int, to_ns: int) -> Sequence[Score]:
        """Return the scores of a window."""
        return self._lake().scores(from_ns=from_ns, to_ns=to_ns)

    def close(self) -> None:
        """Close the lake, if it was opened."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _lake(self) -> LakeReader:
        with self._opening:
            if self._opened is None:
                from pilothouse.lake.store import open_lake

                self._opened = open_lake(self._folder, self._clock)
            return self._opened
