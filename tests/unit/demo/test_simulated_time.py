# SPDX-License-Identifier: Apache-2.0
"""Spans move to the simulated moment as they leave; nothing else about them changes."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilothouse.demo.simulated_time import ARRIVED_NS, OffsetExporter, OffsetRecorder


def record(arrived_ns, exporter):
    recorder = OffsetRecorder()
    moving = OffsetExporter(exporter, recorder)
    provider = TracerProvider()
    provider.add_span_processor(recorder)
    provider.add_span_processor(SimpleSpanProcessor(moving))
    tracer = provider.get_tracer("test")
    token = ARRIVED_NS.set(arrived_ns)
    with tracer.start_as_current_span("root") as root:
        root.set_attribute("kept", "yes")
        with tracer.start_as_current_span("child") as child:
            child.add_event("noted")
    ARRIVED_NS.reset(token)
    real = {span.name: (span.start_time, span.end_time) for span in (root, child)}
    provider.shutdown()
    return real, moving


def test_every_span_of_a_task_moves_by_the_same_offset():
    memory = InMemorySpanExporter()
    arrived_ns = 1_700_000_000_000_000_000
    real, _ = record(arrived_ns, memory)
    moved = {span.name: span for span in memory.get_finished_spans()}
    assert moved["root"].start_time == arrived_ns
    offset_ns = arrived_ns - real["root"][0]
    for name, (start_ns, end_ns) in real.items():
        assert moved[name].start_time - start_ns == offset_ns
        assert moved[name].end_time - end_ns == offset_ns
    assert moved["child"].start_time <= moved["child"].events[0].timestamp <= moved["child"].end_time
    assert dict(moved["root"].attributes) == {"kept": "yes"}
    assert moved["child"].parent.span_id == moved["root"].context.span_id


def test_spans_that_cannot_be_delivered_are_counted():
    class Refusing(SpanExporter):
        def export(self, spans):
            return SpanExportResult.FAILURE

    _, moving = record(1, Refusing())
    assert moving.refused_spans == 2
