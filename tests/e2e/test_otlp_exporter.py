# SPDX-License-Identifier: Apache-2.0
"""The official OpenTelemetry SDK and exporter, with default settings but the port, deliver every span."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from otlp_bodies import START_NS, chat_attributes, tool_attributes
from otlp_server import start_server, wait_for

from pilothouse.app import SystemClock
from pilothouse.lake.store import open_lake
from pilothouse.ports.lake import TaskFilter

pytestmark = pytest.mark.slow
RUNS = 40


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_every_span_of_the_sdk_arrives(tmp_path, compression):
    server = start_server(tmp_path / "lake", grace_s=0.2)
    provider = TracerProvider(resource=Resource.create({"service.name": "triage-svc"}))
    exporter = OTLPSpanExporter(endpoint=f"{server.address}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    ids = set()
    for number in range(RUNS):
        with tracer.start_as_current_span(
            "invoke_agent triage",
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "triage",
                "pilothouse.task.type": "po_invoice",
            },
        ) as root:
            ids.add(f"{root.get_span_context().trace_id:032x}")
            chat = chat_attributes("otel", tokens=(100, 0, 0, 10, 0), response_id=f"r{number}")
            with tracer.start_as_current_span("chat", kind=SpanKind.CLIENT, attributes=chat):
                pass
            with tracer.start_as_current_span("tool", attributes=tool_attributes("otel")) as tool:
                if number % 4 == 0:
                    tool.record_exception(TimeoutError("slow"))
                    tool.set_status(Status(StatusCode.ERROR, "slow"))
    provider.shutdown()
    reader = open_lake(tmp_path / "lake", SystemClock())
    tasks = wait_for(lambda: found if len(found := reader.tasks(TaskFilter()).tasks) == RUNS else None)
    assert {task.trace_id for task in tasks} == ids
    assert all(
        (task.spans, task.model_calls, task.tool_calls, task.tokens.total) == (3, 1, 1, 110) for task in tasks
    )
    assert sum(task.tool_errors for task in tasks) == RUNS // 4
    assert all(task.start_ns > START_NS - 10**18 and task.duration_ns > 0 for task in tasks)
    failed = next(task for task in tasks if task.tool_errors)
    span = next(span for span in reader.trace(failed.trace_id).spans if span.status == "error")
    assert (span.error_type, span.status_message, span.tool_name) == ("TimeoutError", "slow", "lookup")
    assert server.stop() == 0
