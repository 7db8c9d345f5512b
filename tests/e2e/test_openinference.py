# SPDX-License-Identifier: Apache-2.0
"""OpenInference around the real OpenAI client, sent by the official exporter: every span arrives and is counted once."""

from __future__ import annotations

import page_site
import pytest
from late_module import LateModule
from moody_intake import MoodyIntake
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from pilothouse.app import SystemClock
from pilothouse.demo.model_server import ModelServer
from pilothouse.interfaces.http.otlp import otlp_app
from pilothouse.lake.node import open_node
from pilothouse.ports.intake import IntakeAnswer
from pilothouse.ports.lake import TaskFilter

openai = LateModule("openai")
openinference = LateModule("openinference.instrumentation.openai")

pytestmark = pytest.mark.slow
RUNS = 12
ASKED = [{"role": "user", "content": "Where is order A-1234?"}]


class Counted(SpanExporter):
    """Counts what the SDK hands to the real exporter."""

    def __init__(self, inner):
        self.inner, self.ids, self.results = inner, [], []

    def export(self, spans):
        self.ids += [f"{span.context.span_id:016x}" for span in spans]
        self.results.append(self.inner.export(spans))
        return self.results[-1]

    def shutdown(self):
        self.inner.shutdown()

    def force_flush(self, timeout_millis=30_000):
        return self.inner.force_flush(timeout_millis)


def call_the_model(provider):
    tracer = provider.get_tracer("tests")
    usage = []
    with ModelServer() as models, openai.OpenAI(base_url=models.base_url, api_key="none") as client:
        for number in range(RUNS):
            with tracer.start_as_current_span(
                "run", attributes={"openinference.span.kind": "AGENT", "input.value": f"case {number}"}
            ):
                answer = client.chat.completions.create(model="gpt-4o-mini", messages=ASKED)
                usage.append(answer.usage.total_tokens)
                pieces = client.chat.completions.create(
                    model="gpt-4o-mini", messages=ASKED, stream=True, stream_options={"include_usage": True}
                )
                usage[-1] += next(piece.usage.total_tokens for piece in pieces if piece.usage)
    return usage


@pytest.mark.parametrize("refusals", [(), (IntakeAnswer.BUSY,), (IntakeAnswer.OVER_QUOTA,)])
def test_every_span_arrives_and_every_token_counts_once(tmp_path, refusals):
    node = open_node(tmp_path / "lake", SystemClock(), wal_file_bytes=1 << 20)
    intake = MoodyIntake(node, refusals)
    provider = TracerProvider(resource=Resource.create({"service.name": "orders"}))
    instrumentor = openinference.OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        with page_site.running(otlp_app(intake)) as address:
            counted = Counted(OTLPSpanExporter(endpoint=f"{address}/v1/traces", compression=Compression.Gzip))
            provider.add_span_processor(BatchSpanProcessor(counted))
            usage = call_the_model(provider)
            provider.shutdown()
        node.settle()
        tasks = node.tasks(TaskFilter()).tasks
        stored = [span.span_id for task in tasks for span in node.trace(task.trace_id).spans]
        health = node.health()
    finally:
        instrumentor.uninstrument()
        node.stop()
    assert set(counted.results) == {SpanExportResult.SUCCESS}
    assert intake.refused == len(refusals)
    assert sorted(stored) == sorted(counted.ids)
    assert len(stored) == 3 * RUNS
    assert sorted(task.tokens.total for task in tasks) == sorted(usage)
    assert {(task.model_calls, task.calls_without_usage) for task in tasks} == {(2, 0)}
    assert {(task.agent, task.result.value) for task in tasks} == {("orders", "completed")}
    assert {task.input_preview.split()[0] for task in tasks} == {"case"}
    assert (health.gap, health.rows) == (0, 3 * RUNS)
