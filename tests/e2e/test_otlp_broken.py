# SPDX-License-Identifier: Apache-2.0
"""Broken requests against a real server: each gets a reason in its own encoding, and the server goes on."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_bodies import JSON, PROTOBUF, request, run_spans, to_json
from otlp_server import start_server, wait_for

from pilothouse.app import SystemClock
from pilothouse.lake.store import open_lake
from pilothouse.ports.lake import TaskFilter

pytestmark = pytest.mark.slow

GOOD = request(run_spans()).SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("broken") / "lake"


@pytest.fixture(scope="module")
def server(folder: Path):
    started = start_server(folder, grace_s=0)
    yield started
    assert started.stop() == 0


@pytest.fixture(autouse=True)
def _server_goes_on(server):
    yield
    assert server.post("/v1/traces", GOOD, PROTOBUF).status == 200


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b"garbage", "", 400, "ExportTraceServiceRequest"),
        (GOOD[:-9], "gzip", 400, "gzip"),
        (gzip.compress(bytes(60 << 20)), "gzip", 413, "200 times"),
        (bytes(65_000_000), "", 413, "16777216"),
        (GOOD, "br", 415, "br"),
    ],
)
def test_a_broken_body_gets_a_status_in_its_encoding(  # noqa: PLR0917 - what is sent and what is expected
    server, body, encoding, status, reason, content_type
):
    answer = server.post("/v1/traces", body, content_type, encoding)
    assert answer.status == status
    assert answer.headers["content-type"] == content_type
    if content_type == JSON:
        message = json.loads(answer.body)["message"]
    else:
        message = Status.FromString(answer.body).message
    assert message
    assert reason in message


def test_truncated_protobuf_is_400(server):
    assert server.post("/v1/traces", GOOD[:-3], PROTOBUF).status == 400


def test_another_content_type_is_415(server):
    answer = server.post("/v1/traces", GOOD, "text/plain")
    assert answer.status == 415
    assert "text/plain" in Status.FromString(answer.body).message


def test_spans_without_ids_are_400_and_beside_good_ones_a_partial_success(server):
    nameless = {"trace_id": b"", "span_id": b"", "name": "lost"}
    answer = server.post("/v1/traces", request([nameless]).SerializeToString(), PROTOBUF)
    assert answer.status == 400
    assert "trace_id" in Status.FromString(answer.body).message
    mixed = request([*run_spans(50), nameless])
    partial = ExportTraceServiceResponse.FromString(
        server.post("/v1/traces", mixed.SerializeToString(), PROTOBUF).body
    ).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message.startswith("span 4: trace_id")
    in_json = json.loads(server.post("/v1/traces", to_json(mixed), JSON).body)["partialSuccess"]
    assert in_json["rejectedSpans"] == "1"


def test_an_empty_request_is_answered_with_an_empty_message(server):
    assert server.post("/v1/traces", b"", PROTOBUF).body == b""
    assert server.post("/v1/traces", b"{}", JSON).body == b"{}"
    assert server.post("/v1/traces", b"{}", "Application/JSON; charset=utf-8").body == b"{}"


def test_metrics_and_logs_are_answered(server):
    for signal in ("metrics", "logs"):
        assert server.post(f"/v1/{signal}", b"", PROTOBUF).status == 200


def test_other_paths_and_methods_say_what_is_right(server):
    assert server.post("/v1/nothing", b"", PROTOBUF).status == 404
    with socket.create_connection(("127.0.0.1", urlsplit(server.address).port)) as raw:
        raw.sendall(b"GET /v1/traces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 405 " in raw.recv(100)


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(server):
    with socket.create_connection(("127.0.0.1", urlsplit(server.address).port)) as raw:
        raw.settimeout(20)
        raw.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        answer = b""
        try:
            for _ in range(20):
                raw.sendall(chunk)
            answer = raw.recv(100)
        except OSError:
            answer = raw.recv(100)
        assert b" 413 " in answer


def test_a_sender_that_leaves_in_the_middle_harms_nobody(server):
    with socket.create_connection(("127.0.0.1", urlsplit(server.address).port)) as raw:
        raw.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 1000\r\n\r\nonly this"
        )


def test_everything_good_between_the_broken_is_kept(server, folder):
    assert server.post("/v1/traces", request(run_spans(77)).SerializeToString(), PROTOBUF).status == 200
    reader = open_lake(folder, SystemClock())
    wanted = (77).to_bytes(16, "big").hex()
    wait_for(lambda: any(task.trace_id == wanted for task in reader.tasks(TaskFilter()).tasks))
    assert reader.trace(wanted).spans_total == 4
