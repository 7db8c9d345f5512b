# SPDX-License-Identifier: Apache-2.0
"""Move the demo's spans to the simulated moment their work arrived, at the edge of the exporter.

The demo's agent works now, for a minute; its fourteen days are simulated. Each task's spans are moved by one offset,
the arrival of its mail minus the start of its root span. Durations, order and everything else stay as measured.
Only the demo does this: nothing of it is in the path of a user's agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

__all__ = ["ARRIVED_NS", "OffsetExporter", "OffsetRecorder"]

ARRIVED_NS: ContextVar[int] = ContextVar("arrived_ns")
"""Simulated arrival of the task at hand, Unix nanoseconds UTC."""


class OffsetRecorder(SpanProcessor):
    """Note, for each trace, how far its spans must move.

    Attributes:
        offsets_ns: Offset by trace id; one entry for each task of the process.
    """

    def __init__(self) -> None:
        self.offsets_ns: dict[int, int] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the offset of a task when its root span starts."""
        del parent_context
        arrived_ns = ARRIVED_NS.get(None)
        if span.parent is None and span.start_time is not None and arrived_ns is not None:
            self.offsets_ns[span.get_span_context().trace_id] = arrived_ns - span.start_time


class OffsetExporter(SpanExporter):
    """Move spans, then hand them to the real exporter.

    Attributes:
        refused_spans: Spans that the real exporter could not deliver.
    """

    def __init__(self, inner: SpanExporter, recorder: OffsetRecorder) -> None:
        self.refused_spans = 0
        self._inner = inner
        self._offsets_ns = recorder.offsets_ns

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the moved spans and count what could not be delivered."""
        moved = [_moved(span, self._offset_ns(span)) for span in spans]
        result = self._inner.export(moved)
        if result is not SpanExportResult.SUCCESS:
            self.refused_spans += len(moved)
        return result

    def _offset_ns(self, span: ReadableSpan) -> int:
        context = span.get_span_context()
        return 0 if context is None else self._offsets_ns.get(context.trace_id, 0)

    def shutdown(self) -> None:
        """Shut the real exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the real exporter."""
        return self._inner.force_flush(timeout_millis)


def _moved(span: ReadableSpan, offset_ns: int) -> ReadableSpan:
    events = [Event(e.name, attributes=e.attributes, timestamp=e.timestamp + offset_ns) for e in span.events]
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=None if span.start_time is None else span.start_time + offset_ns,
        end_time=None if span.end_time is None else span.end_time + offset_ns,
        instrumentation_scope=span.instrumentation_scope,
    )
