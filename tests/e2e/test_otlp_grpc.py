# SPDX-License-Identifier: Apache-2.0
"""The official exporter over gRPC delivers every span: with compression, and through refusals."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import grpc
import pytest
from moody_intake import MoodyIntake
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otlp_bodies import request, run_spans

from pilothouse.app import SystemClock
from pilothouse.errors import Conflict
from pilothouse.interfaces.http.otlp_grpc import start_grpc
from pilothouse.lake.node import open_node
from pilothouse.ports.intake import IntakeAnswer
from pilothouse.ports.lake import TaskFilter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # gRPC closes its sockets in its own time
]
RUNS = 30
EXPORT = "/opentelemetry.proto.collector.{}Service/Export"


@contextmanager
def taking(folder, refusals=()):
    node = open_node(folder, SystemClock(), grace_s=0.2, wal_file_bytes=1 << 20)
    intake = MoodyIntake(node, refusals)
    server = start_grpc(intake, "127.0.0.1", 0)
    try:
        yield server, intake, node
    finally:
        server.stop()
        node.stop()


def send_runs(address, compression):
    provider = TracerProvider(resource=Resource.create({"service.name": "triage"}))
    exporter = OTLPSpanExporter(endpoint=f"http://{address}", insecure=True, compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=32))
    tracer = provider.get_tracer("tests")
    ids = set()
    for _ in range(RUNS):
        with tracer.start_as_current_span("invoke_agent triage") as root:
            ids.add(f"{root.get_span_context().trace_id:032x}")
            with tracer.start_as_current_span("step"):
                pass
    provider.shutdown()
    return ids


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_every_span_of_the_sdk_arrives(tmp_path, compression):
    with taking(tmp_path / "lake") as (server, _intake, node):
        ids = send_runs(server.address, compression)
        node.settle()
        tasks = node.tasks(TaskFilter(), limit=1000).tasks
        assert {task.trace_id for task in tasks} == ids
        assert {task.spans for task in tasks} == {2}
        assert node.health().gap == 0


@pytest.mark.parametrize("answer", [IntakeAnswer.BUSY, IntakeAnswer.OVER_QUOTA])
def test_the_exporter_comes_again_after_a_refusal(tmp_path, answer):
    with taking(tmp_path / "lake", [answer]) as (server, intake, node):
        ids = send_runs(server.address, grpc.Compression.Gzip)
        node.settle()
        assert intake.refused == 1
        assert {task.trace_id for task in node.tasks(TaskFilter(), limit=1000).tasks} == ids


def call(server, service, body):
    with grpc.insecure_channel(server.address) as channel:
        return channel.unary_unary(EXPORT.format(service))(body, timeout=10)


def test_all_three_services_answer_and_faults_have_their_codes(tmp_path):
    with taking(tmp_path / "lake") as (server, _intake, node):
        good = request(run_spans(1))
        assert call(server, "trace.v1.Trace", good.SerializeToString()) == b""
        assert call(server, "logs.v1.Logs", b"") == b""
        assert call(server, "metrics.v1.Metrics", b"") == b""
        half = request(run_spans(2))
        half.resource_spans[0].scope_spans[0].spans[0].span_id = b"short"
        told = ExportTraceServiceResponse.FromString(call(server, "trace.v1.Trace", half.SerializeToString()))
        assert told.partial_success.rejected_spans == 1
        assert told.partial_success.error_message
        with pytest.raises(grpc.RpcError) as broken:
            call(server, "trace.v1.Trace", b"\xff\xff\xff")
        assert broken.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as unknown:
            call(server, "profiles.v1.Profiles", b"")
        assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as large:
            call(server, "trace.v1.Trace", bytes((16 << 20) + 1))
        assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert node.health().count("rejected") == 1


def test_a_taken_port_is_a_conflict_that_names_it(tmp_path):
    with socket.socket() as taken, taking(tmp_path / "lake") as (_server, intake, _node):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=str(port)):
            start_grpc(intake, "127.0.0.1", port)
