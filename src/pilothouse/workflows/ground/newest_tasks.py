# SPDX-License-Identifier: Apache-2.0
"""The newest tasks of an agent in a window, read page by page up to a limit (lake -> tasks)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import Lake, TaskCursor, TaskFilter

__all__ = ["newest_tasks"]

PAGE_TASKS: Final = 10_000
PAGES_MAX: Final = 10
"""Pages of tasks that are read: 100,000 inputs are half a minute of work."""


def newest_tasks(lake: Lake, agent: str, since: datetime, now: datetime) -> tuple[Sequence[Task], bool]:
    """Return tasks newest first, and whether they are all of the window.

    Args:
        lake: Telemetry.
        agent: Agent id.
        since: Start of the window, aware UTC, inclusive.
        now: Its end, exclusive.
    """
    wanted = TaskFilter(agent=agent, from_ns=unix_ns(since), to_ns=unix_ns(now))
    found: list[Task] = []
    cursor: TaskCursor | None = None
    for _ in range(PAGES_MAX):
        page = lake.tasks(wanted, limit=PAGE_TASKS, before=cursor)
        found += page.tasks
        cursor = page.next_cursor
        if cursor is None:
            return found, True
    return found, False
