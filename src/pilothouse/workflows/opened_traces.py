# SPDX-License-Identifier: Apache-2.0
"""Tasks with their traces, many read with one query (lake -> spans)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pilothouse.core.evidence.task import Task
from pilothouse.ports.lake import Lake, TraceView

__all__ = ["with_traces"]

TRACES_AT_ONCE: Final = 250
"""Traces that are read with one query: with all their texts some ten megabytes."""


def with_traces(lake: Lake, tasks: Sequence[Task]) -> Iterator[tuple[Task, TraceView | None]]:
    """Yield each task with its trace, in the order given.

    Args:
        lake: Has the traces.
        tasks: As many as the caller allows itself; part by part is in memory.
    """
    for start in range(0, len(tasks), TRACES_AT_ONCE):
        part = tasks[start : start + TRACES_AT_ONCE]
        views = lake.traces([task.trace_id for task in part])
        for task in part:
            yield task, views.get(task.trace_id)
