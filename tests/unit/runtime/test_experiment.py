# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import pilothouse
from pilothouse.runtime.experiment import ARM_KEY, EXPERIMENT_KEY, UNIT_KEY, assign
from pilothouse.runtime.sdk import recorder

UNIT, ARM = "user-1", "candidate"
STAMP = {EXPERIMENT_KEY: "exp-1", UNIT_KEY: UNIT, ARM_KEY: ARM, "pilothouse.version": "b" * 64}


def assign_it():
    return assign("exp-1", UNIT, share=1.0, candidate_version="b" * 64)


def test_the_arm_stands_on_the_span_of_who_uses_opentelemetry():
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("t").start_as_current_span("invoke_agent"):
        assert assign_it().is_candidate
    (span,) = kept.get_finished_spans()
    assert dict(span.attributes) == STAMP


@pytest.fixture
def closed(monkeypatch):
    spans = []

    class Sink:
        def open(self, name, parent):
            return f"{len(spans) + 1:032x}", f"{len(spans) + 1:016x}", name

        def close(self, opened, name, *, failed, attributes):
            spans.append((name, attributes))

    monkeypatch.setattr(recorder, "_SINK", [Sink()])
    return spans


def test_the_arm_stands_on_the_root_span_of_a_task_even_when_an_agent_inside_it_asks(closed):
    @pilothouse.agent(task_type="t", name="inner")
    def inner():
        return assign_it().arm

    @pilothouse.agent(task_type="t", name="outer")
    def outer():
        return inner()

    assert outer() == ARM
    stamped = {name: {key: attributes.get(key) for key in STAMP} for name, attributes in closed}
    assert stamped == {"invoke_agent inner": dict.fromkeys(STAMP), "invoke_agent outer": STAMP}


def test_without_a_task_nothing_is_written_and_the_caller_gets_what_to_write():
    assert not trace.get_current_span().is_recording()
    assert assign_it().attributes == STAMP
    base = assign("exp-1", UNIT, share=0.0, candidate_version="b" * 64)
    assert (base.arm, "pilothouse.version" in base.attributes) == ("baseline", False)
