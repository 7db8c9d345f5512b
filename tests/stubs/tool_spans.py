# SPDX-License-Identifier: Apache-2.0
"""Spans of tool calls for tests, and a lake in memory that gives them back."""

from __future__ import annotations

from pilothouse.ports.lake import SpanRecord, TraceView
from pilothouse.testing import MemoryLake

TEXTS = ("status_message", "convention", "input", "output", "attributes", "events")


def tool_span(tool: str, at_ns: int = 1, *, failed: bool = False, **texts: str) -> SpanRecord:
    return SpanRecord(
        **{
            **dict.fromkeys(SpanRecord.__dataclass_fields__),
            **dict.fromkeys(TEXTS, ""),
            "span_id": f"{at_ns:016x}",
            "record": "span",
            "name": f"execute_tool {tool}",
            "operation": "execute_tool",
            "tool_name": tool,
            "start_ns": at_ns,
            "end_ns": at_ns,
            "status": "error" if failed else "ok",
            "cut_bytes": 0,
            **texts,
        }
    )


class SpanLake(MemoryLake):
    """Notes which traces were opened and how many windows were read, and gives their spans in no order, as a lake may."""

    def __init__(self, tasks, spans):
        super().__init__(tasks)
        self.spans, self.opened, self.windows = spans, [], 0

    def window(self, wanted):
        self.windows += 1
        return super().window(wanted)

    def trace(self, trace_id, *, limit=2_000):
        self.opened.append(trace_id)
        found = tuple(reversed(self.spans[trace_id]))
        return TraceView(task=None, spans=found, spans_total=len(found))
