# SPDX-License-Identifier: Apache-2.0
"""Tasks with their traces, many read with one query (lake -> spans)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pilothouse.core.evidence.silent_error import ToolOutcome, failed_by_result
from pilothouse.core.evidence.task import Task
from pilothouse.ports.lake import Lake, SpanRecord, TraceView

__all__ = ["tool_outcomes", "with_traces"]

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


def tool_outcomes(view: TraceView | None) -> list[ToolOutcome]:
    """Return the tool calls of a trace in the order in which they began.

    Args:
        view: The trace; None when it is not there any more.
    """
    spans: Sequence[SpanRecord] = () if view is None else view.spans
    return [
        ToolOutcome(
            tool=span.tool_name or span.name.removeprefix("execute_tool "),
            args=span.input,
            failed=span.status == "error" or span.error_type is not None or failed_by_result(span.output),
            at_ns=span.end_ns or span.start_ns,
        )
        for span in sorted(spans, key=lambda one: one.start_ns)
        if span.operation == "execute_tool"
    ]
