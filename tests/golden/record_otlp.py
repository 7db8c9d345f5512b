# SPDX-License-Identifier: Apache-2.0
"""Record one body from each real SDK and the task it makes: `python tests/golden/record_otlp.py` (look at the diff)."""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path

import openai
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stubs")]

import page_site  # noqa: E402 - beside this file
from moody_intake import MoodyIntake  # noqa: E402 - same reason
from otlp_bodies import chat_attributes, tool_attributes  # noqa: E402 - same reason
from test_otlp_golden import FOLDER, task_of  # noqa: E402 - same reason

from pilothouse.app import SystemClock  # noqa: E402 - same reason
from pilothouse.demo.model_server import ModelServer  # noqa: E402 - same reason
from pilothouse.interfaces.http.otlp import otlp_app  # noqa: E402 - same reason
from pilothouse.interfaces.http.otlp_grpc import start_grpc  # noqa: E402 - same reason
from pilothouse.lake.node import open_node  # noqa: E402 - same reason


def genai(provider: TracerProvider) -> None:
    tracer = provider.get_tracer("golden")
    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "triage",
        "pilothouse.version": "v1",
    }
    with tracer.start_as_current_span("invoke_agent triage", attributes=agent):
        chat = chat_attributes("otel", tokens=(100, 40, 0, 10, 4), response_id="r1")
        with tracer.start_as_current_span("chat", attributes=chat):
            pass
        with tracer.start_as_current_span("tool", attributes=tool_attributes("otel")) as tool:
            tool.record_exception(TimeoutError("slow"))


def openinference(provider: TracerProvider) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415 - patches at import

    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    tracer = provider.get_tracer("golden")
    asked = [{"role": "user", "content": "Where is order A-1234?"}]
    with ModelServer() as models, openai.OpenAI(base_url=models.base_url, api_key="none") as client:
        root = {"openinference.span.kind": "AGENT", "input.value": "Where is order A-1234?"}
        with tracer.start_as_current_span("run", attributes=root):
            client.chat.completions.create(model="gpt-4o-mini", messages=asked)
    instrumentor.uninstrument()


def record(name: str, work, *, over_grpc: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = open_node(Path(folder), SystemClock(), wal_file_bytes=1 << 20)
        intake = MoodyIntake(node)
        provider = TracerProvider(resource=Resource.create({"service.name": "golden"}))
        with page_site.running(otlp_app(intake)) as address:
            grpc_server = start_grpc(intake, "127.0.0.1", 0)
            exporter = (
                GrpcExporter(endpoint=f"http://{grpc_server.address}", insecure=True)
                if over_grpc
                else HttpExporter(endpoint=f"{address}/v1/traces")
            )
            provider.add_span_processor(BatchSpanProcessor(exporter))
            work(provider)
            provider.shutdown()
            grpc_server.stop()
        node.stop()
    ((_signal, _content_type, _encoding, body),) = intake.taken
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.pb.gz").write_bytes(gzip.compress(body, mtime=0))
    with tempfile.TemporaryDirectory() as folder:
        (FOLDER / f"{name}.json").write_text(json.dumps(task_of(Path(folder), body), indent=1) + "\n")


if __name__ == "__main__":
    record("opentelemetry-http", genai)
    record("opentelemetry-grpc", genai, over_grpc=True)
    record("openinference-openai", openinference)
