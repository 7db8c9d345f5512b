# SPDX-License-Identifier: Apache-2.0
"""What belongs to no task is erased too: log records alone, of a trace or of none, and spans that are still gathered."""

from __future__ import annotations

import time

import page_world as world
import pytest
from fresh_ledger import ledger_url
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_bodies import PROTOBUF, any_value, request, run_spans
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.app.opening import SystemClock
from pilothouse.app.people import open_curation
from pilothouse.lake.node import open_node
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import Signal
from pilothouse.settings import load_settings
from pilothouse.workflows.curation.erasure import carry_out_erasures

SUBJECT = "Jürgen.4711@customer.example"
NOW_NS = time.time_ns() // 1_000 * 1_000 - 60 * 10**9
LOGGED, OPEN = f"{5:032x}", f"{6:032x}"


def logs():
    made = ExportLogsServiceRequest()
    scope = made.resource_logs.add().scope_logs.add()
    for trace, said in (
        (b"", f"for {SUBJECT}"),
        (b"", "for nobody"),
        (bytes.fromhex(LOGGED), f"of {SUBJECT}"),
    ):
        one = scope.log_records.add()
        one.time_unix_nano, one.trace_id = NOW_NS, trace
        one.span_id = trace[:8]
        one.body.CopyFrom(any_value(said))
    return made


@pytest.fixture
def settings(tmp_path):
    found = load_settings({}, home=tmp_path / "home")
    found.home.mkdir()
    with open_ledger(ledger_url(found.home)):
        pass
    return found


def send(node, signal, message):
    body = message.SerializeToString()
    node.accept(signal, content_type=PROTOBUF, content_encoding="", body=body, source="tests")


def said_by(node):
    rows = node._database.run(node._writer.view(), "SELECT trace_id, output FROM spans WHERE record = 'log'")
    return {(row["trace_id"], row["output"]) for row in rows.to_pylist()}


def test_what_belongs_to_no_task_is_found_and_emptied_and_nothing_else(settings):
    *spans, _ = run_spans(int(OPEN, 16), start=NOW_NS)
    spans[0]["attributes"] |= {"pilothouse.agent": world.AGENT, "note": f"about {SUBJECT}"}
    node = open_node(settings.lake_folder, SystemClock(), grace_s=3_600)
    try:
        send(node, Signal.LOGS, logs())
        send(node, Signal.TRACES, request(spans))
        node.settle()
        assert node.trace(OPEN).task is None
        with open_curation(settings) as desk:
            done = desk.erase(SUBJECT, [], actor="test")
        alone = [one for one in done["traces"] if one.startswith("log:")]
        assert ({*done["traces"]} - {*alone}, len(alone)) == ({LOGGED, OPEN}, 1)
        with open_ledger(settings.ledger_url) as ledger:
            carry_out_erasures(node, ledger, SystemClock().now())
        assert said_by(node) == {("", "for nobody"), ("", None), (LOGGED, None)}
        assert SUBJECT not in repr(node.trace(OPEN))
        assert node.health().gap == 0
        with open_curation(settings) as desk:
            assert desk.erase(SUBJECT, [], actor="test")["traces"] == ()
    finally:
        node.stop()


def test_the_command_says_how_many_records_of_no_trace_there_were(settings):
    node = open_node(settings.lake_folder, SystemClock(), grace_s=0.0)
    send(node, Signal.LOGS, logs())
    node.settle()
    node.stop(drain=True)
    said = CliRunner().invoke(command_tree(), ["erase", SUBJECT, "--home", str(settings.home)]).output
    assert "telemetry: 1 traces and 1 log records of no trace, 2 rows emptied" in said
