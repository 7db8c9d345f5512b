# SPDX-License-Identifier: Apache-2.0
"""Read a lake that another process may be writing: every query sees the newest committed version."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from pilothouse.errors import Conflict
from pilothouse.lake.columns import SPANS, TASKS
from pilothouse.lake.lock import Holder, find_holder
from pilothouse.lake.node import open_node
from pilothouse.lake.queries import LakeQueries
from pilothouse.lake.segments import SegmentTable
from pilothouse.lake.view import Database, View
from pilothouse.ports.clock import Clock

__all__ = ["LakeReader", "open_lake"]


class LakeReader(LakeQueries):
    """Implements `Lake` over committed files only.

    Args:
        folder: The lake folder; may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._span_table = SegmentTable(folder / "spans", SPANS)
        self._task_table = SegmentTable(folder / "tasks", TASKS)
        self._lock = threading.Lock()
        super().__init__(self._newest_view, Database())

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _newest_view(self) -> View:
        # Tasks first: a task that is seen has its spans in any later version of the other table.
        with self._lock:
            self._task_table.refresh()
            self._span_table.refresh()
            return View(span_files=self._span_table.files(), task_files=self._task_table.files())


def open_lake(folder: Path, clock: Clock) -> LakeReader:
    """Open a lake for reading.

    When no process writes it and its log holds requests that no table has (after a kill), they are
    replayed first, so that everything acknowledged can be seen.
    """
    holder: Holder | None = find_holder(folder)
    if holder is None and any(folder.glob("wal/*/*.wal")):
        with contextlib.suppress(Conflict):  # somebody was quicker, and replays or serves
            open_node(folder, clock).stop(drain=True)
    return LakeReader(folder)
