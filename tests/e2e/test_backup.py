# SPDX-License-Identifier: Apache-2.0
"""A copy made while spans pour in, restored by starting on it, has everything acknowledged before it began."""

from __future__ import annotations

import json
import threading
import time

import pytest
from forked_process import run_command_line
from otlp_bodies import PROTOBUF, request, run_spans
from otlp_server import start_server

from pilothouse.app import SystemClock, back_up_installation
from pilothouse.errors import Conflict, DigestMismatch, UsageError
from pilothouse.lake.backup import copy_lake
from pilothouse.lake.node import open_node
from pilothouse.lake.store import open_lake
from pilothouse.ledger.backup import copy_ledger
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.intake import Signal
from pilothouse.ports.lake import TaskFilter
from pilothouse.settings import load_settings
from pilothouse.workflows.curation.erasure import ask_to_empty, carry_out_erasures
from pilothouse.workflows.server.backup import MANIFEST, back_up, check_backup

pytestmark = pytest.mark.slow
SPANS = len(run_spans(1))


def send(server, trace):
    body = request(run_spans(trace, start=time.time_ns())).SerializeToString()
    return server.post("/v1/traces", body, PROTOBUF).status == 200


def ids_of(trace):
    return request(run_spans(trace)).resource_spans[0].scope_spans[0].spans[0].trace_id.hex()


def decide(settings, count):
    with open_ledger(settings.ledger_url) as ledger:
        for number in range(count):
            ledger.record(kind="test", agent="a", at=SystemClock().now(), actor="t", document=str(number))


def test_a_copy_of_a_busy_installation_survives_the_death_of_the_original(tmp_path):
    home = tmp_path / "home"
    settings = load_settings({}, home=home)
    decide(settings, 3)
    server = start_server(settings.lake_folder, grace_s=0.1)
    acknowledged, stop = [], threading.Event()

    def pour():
        trace = 1
        while not stop.is_set():
            if send(server, trace):
                acknowledged.append(trace)
            trace += 1

    sender = threading.Thread(target=pour)
    sender.start()
    copies = []
    try:
        for number in range(4):
            time.sleep(0.7)
            before = tuple(acknowledged)
            copies.append((tmp_path / f"copy-{number}", before))
            back_up_installation(settings, copies[-1][0])
    finally:
        stop.set()
        sender.join()
        server.kill()
    assert len(copies[-1][1]) > 20
    for copy, before in copies:
        assert check_backup(copy).rows["spans"] % SPANS == 0
        restored = load_settings({}, home=copy)
        node = open_node(restored.lake_folder, SystemClock(), wal_file_bytes=1 << 20)
        node.settle(also_rootless=True)
        assert node.health().gap == 0
        node.stop(drain=True)
        reader = open_lake(restored.lake_folder, SystemClock())
        table = reader._database.run(
            reader._view(),
            "SELECT trace_id, count(*) AS n, count(DISTINCT span_id) AS ids FROM spans GROUP BY 1",
        ).to_pylist()
        tasks = reader.tasks(TaskFilter(), limit=10_000).tasks
        reader.close()
        held = {int(row["trace_id"], 16) for row in table}
        wanted = {int(ids_of(trace), 16) for trace in before}
        assert wanted <= held
        assert {(row["n"], row["ids"]) for row in table} <= {(SPANS, SPANS)}
        assert len(tasks) == len(table)
        with open_ledger(restored.ledger_url) as ledger:
            assert len(ledger.decisions("a")) == 3


def test_an_erasure_carried_out_while_it_is_copied_is_done_again_on_the_copy(tmp_path):
    """Else the copy would hold what people wrote, and a ledger that says it is gone."""
    settings, copy = load_settings({}, home=tmp_path / "home"), tmp_path / "copy"
    now, trace = SystemClock().now(), f"{1:032x}"
    node = open_node(settings.lake_folder, SystemClock(), wal_file_bytes=1 << 20)
    body = request(run_spans(1)).SerializeToString()
    node.accept(Signal.TRACES, content_type=PROTOBUF, content_encoding="", body=body, source="tests")
    node.settle()
    with open_ledger(settings.ledger_url) as ledger:
        ask_to_empty(ledger, [trace], actor="test", now=now)

    def copy_lake_and_erase(folder, target):
        rows = copy_lake(folder, target)
        with open_ledger(settings.ledger_url) as ledger:
            assert carry_out_erasures(node, ledger, now) == SPANS + 1
        return rows

    back_up(
        settings,
        copy,
        now,
        copy_ledger=lambda folder: copy_ledger(settings.ledger_url, folder),
        copy_lake=copy_lake_and_erase,
        copy_runs=lambda _folder, _target: 0,
    )
    node.stop()
    restored = load_settings({}, home=copy)
    again = open_node(restored.lake_folder, SystemClock(), wal_file_bytes=1 << 20)
    with open_ledger(restored.ledger_url) as ledger:
        assert carry_out_erasures(again, ledger, now) == SPANS + 1
    assert not any(span.input or span.output for span in again.trace(trace).spans)
    again.stop()


def test_the_command_copies_checks_and_refuses(tmp_path):
    home, copy = tmp_path / "home", tmp_path / "copy"
    settings = load_settings({}, home=home)
    decide(settings, 1)

    def run(*arguments):
        return run_command_line("backup", *arguments, "--home", home)

    assert run(copy).returncode == 0
    assert json.loads(run(copy, "--check", "--json").stdout)["files"][0]["path"] == "ledger.sqlite"
    assert run(copy).returncode != 0
    with pytest.raises(Conflict, match="itself"):
        back_up_installation(settings, home / "inside")
    with (copy / "ledger.sqlite").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xfe")
    with pytest.raises(DigestMismatch, match=r"ledger\.sqlite"):
        check_backup(copy)
    (copy / MANIFEST).unlink()
    with pytest.raises(UsageError, match="no finished backup"):
        check_backup(copy)
