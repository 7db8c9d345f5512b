# SPDX-License-Identifier: Apache-2.0
"""Tasks of a window: all at once, the newest up to a limit, or page by page with one in memory (lake -> tasks)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import Lake, TaskCursor, TaskFilter, TaskPage

__all__ = ["every_page", "newest_tasks", "tasks_between"]

PAGE_TASKS: Final = 10_000
"""Tasks in memory at once: some 30 MB, however many an agent does."""

PAGES_MAX: Final = 10
"""Pages of tasks that are read: 100,000 inputs are half a minute of work."""


def tasks_between(lake: Lake, agent: str, start: datetime, end: datetime) -> Sequence[Task]:
    """Return the tasks of an agent in a half-open window.

    Args:
        lake: Telemetry.
        agent: Agent id.
        start: Aware UTC, inclusive.
        end: Aware UTC, exclusive.

    Raises:
        LimitExceeded: They are more than one answer of the lake holds.
    """
    return lake.window(TaskFilter(agent=agent, from_ns=unix_ns(start), to_ns=unix_ns(end)))


def newest_tasks(lake: Lake, agent: str, since: datetime, now: datetime) -> tuple[Sequence[Task], bool]:
    """Return tasks newest first, and whether they are all of the window.

    Args:
        lake: Telemetry.
        agent: Agent id.
        since: Start of the window, aware UTC, inclusive.
        now: Its end, exclusive.
    """
    wanted = TaskFilter(agent=agent, from_ns=unix_ns(since), to_ns=unix_ns(now))
    pages = list(islice(_pages(lake, wanted), PAGES_MAX))
    return [task for page in pages for task in page.tasks], pages[-1].next_cursor is None


def every_page(lake: Lake, wanted: TaskFilter) -> Iterator[Sequence[Task]]:
    """Yield the tasks of a window newest first, page by page; nothing is held of those before.

    Whoever counts needs no list of a month, and a window that is read as a whole is refused beyond a million tasks.
    """
    return (page.tasks for page in _pages(lake, wanted))


def _pages(lake: Lake, wanted: TaskFilter) -> Iterator[TaskPage]:
    cursor: TaskCursor | None = None
    while True:
        page = lake.tasks(wanted, limit=PAGE_TASKS, before=cursor)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
