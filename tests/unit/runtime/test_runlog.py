# SPDX-License-Identifier: Apache-2.0
"""The run log: what is read back is what was written, or says where it is not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from pilothouse.core.evidence.run_log import (
    ContextEdited,
    Denied,
    Draw,
    HostContacted,
    IdentitySource,
    ModelRequest,
    ModelResponse,
    OutputHeld,
    Replayable,
    RunClosed,
    RunOpened,
    RunState,
    Tap,
    ToolCalled,
    ToolReturned,
)
from pilothouse.errors import LimitExceeded, StorageUnavailable, UnknownName
from pilothouse.ports.runlog import RunLog
from pilothouse.runtime.runlog import writer as writing
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.runtime.runlog.segments import cut

RUN = "5e" * 16
SECRET = "sk-ant-0123456789abcdef0123"


@pytest.fixture
def log(tmp_path):
    with Recorder(tmp_path / "runs") as log:
        yield log


def conversation(calls: int, filler: int = 300) -> list[bytes]:
    """Bodies of a conversation that grows by two messages a call."""
    messages = [{"role": "system", "content": "You triage invoices. " * 20}]
    bodies = []
    for call in range(calls):
        messages.append({"role": "user", "content": f"question {call} " + "é" * filler})
        bodies.append(
            json.dumps({"messages": messages, "model": "m-1", "tools": [{"n": "look"}] * 20}).encode()
        )
        messages.append({"role": "assistant", "content": f"answer {call}"})
    return bodies


def record(log: Recorder, bodies: list[bytes], run: str = RUN, **opened) -> None:
    log.append(run, RunOpened(agent="triage", **opened))
    for number, body in enumerate(bodies):
        log.append(run, ModelRequest(route="/v1/chat/completions", body=body), call=str(number))
        log.append(run, ModelResponse(status=200, body=b'{"ok": true}', model="m-1"), call=str(number))
    log.flush()


def damage(tmp_path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(tmp_path / "runs" / "runs.sqlite")) as connection, connection:
        connection.execute(statement, values)
    connection.close()


def test_recorder_is_a_run_log(log):
    assert isinstance(log, RunLog)


def test_every_kind_of_event_comes_back_as_it_was(log):
    events = [
        RunOpened(
            agent="triage", version="4f", identity=IdentitySource.PATH, environment={"LANG": "C", "KEY": None}
        ),
        ModelRequest(
            route="/v1/messages", headers={"anthropic-version": "2023-06-01"}, body=b"{}", sent=b"[]"
        ),
        ModelResponse(
            status=200, body=b"\xff\x00raw", chunk_sizes=(1, 4), chunk_ms=(0, 7), usage={"input": 3}
        ),
        ToolCalled(
            tool="crm.update@2", contract="c0", args=b'{"id": 1}', effect="external", idempotency_key="k"
        ),
        ToolReturned(error={"kind": "timeout", "side_effect": "unknown"}, attempts=3, breaker="open"),
        Draw(source="clock.time", site="agent.py:7", ordinal=0, value="1795882875.3"),
        HostContacted(host="api.example.com", port=443, inside=False),
        ContextEdited(policy="duplicates", ledger=({"digest": "d", "tokens": 4},), removed=b"[1]"),
        OutputHeld(hold="h1", reason="low confidence"),
        Denied(code="loop_limit", reason="three times the same"),
        RunClosed(state=RunState.FAILED),
    ]
    for event in events:
        log.append(RUN, event, tap=Tap.LAUNCHER, call="1")
    log.flush()
    recorded = log.read(RUN[:6])
    assert [logged.event for logged in recorded.events] == events
    assert recorded.damage is None
    assert recorded.summary.state is RunState.FAILED


def test_the_log_says_whose_a_run_is_while_it_writes_and_nothing_where_it_cannot(log, tmp_path):
    record(log, [b"{}"])
    assert log.owner(RUN) == "triage"
    assert log.owner(RUN[:8]) is None, "a beginning names no run"
    assert log.owner("f" * 32) is None
    log.append("e" * 32, RunClosed(state=RunState.FAILED))
    log.flush()
    assert log.owner("e" * 32) is None, "nobody opened it"
    with Recorder(tmp_path / "runs") as again:
        assert again.owner(RUN) == "triage", "also after a restart"
    damage(tmp_path, "DROP TABLE run")
    assert log.owner(RUN) is None
    log.close()
    assert log.owner(RUN) is None


def test_a_beginning_that_several_runs_share_is_told_with_one_that_is_enough(log):
    for run in ("a1b2c3d4e5" + "0" * 22, "a1b2c3d4f5" + "0" * 22):
        record(log, [], run=run)
    with pytest.raises(UnknownName, match="several runs begin with 'a1b2c3d4'") as told:
        log.read("a1b2c3d4")
    assert told.value.remedy == "Give more digits: `pilothouse replay a1b2c3d4e`, or a1b2c3d4f"
    assert log.read("a1b2c3d4e").summary.run.startswith("a1b2c3d4e5")
    with pytest.raises(UnknownName, match="no run 'a2' was recorded") as told:
        log.read("a2")
    assert "`traceparent`" in told.value.remedy, "an incident names traces"


def test_a_conversation_of_n_calls_costs_n_and_comes_back_byte_for_byte(log, tmp_path):
    def stored(run: str) -> int:
        with closing(sqlite3.connect(tmp_path / "runs" / "runs.sqlite")) as connection, connection:
            pieces, lines = connection.execute(
                "SELECT (SELECT sum(length(content)) FROM piece WHERE id = (SELECT id FROM run WHERE run = ?)), "
                "(SELECT sum(length(data)) FROM event WHERE id = (SELECT id FROM run WHERE run = ?))",
                (run, run),
            ).fetchone()
        connection.close()
        return pieces + lines

    short, long = conversation(20), conversation(80)
    record(log, short)
    record(log, long, run="6f" * 16)
    read = log.read("6f" * 16)
    assert [e.event.body for e in read.events if isinstance(e.event, ModelRequest)] == long
    assert stored("6f" * 16) < 4.4 * stored(RUN)
    assert stored("6f" * 16) < sum(map(len, long)) / 15


def test_cuts_of_any_body_join_to_the_body():
    for body in (
        *conversation(4),
        b"",
        b"not json" * 100,
        b"\xff" * 600,
        b'{"messages": "text"}' + b" " * 600,
        b'{"input": [1, 1, 1, {"a": [1]}], "messages": null}' + b" " * 600,
        b'{"metadata": [{"a":1}], "messages": [{"a":1}], "x": "' + b"y" * 600 + b'"}',
    ):
        assert b"".join(cut(body)) == body


def test_a_secret_is_on_disk_nowhere_and_equal_secrets_stay_equal(log, tmp_path):
    body = json.dumps(
        {
            "messages": [{"role": "user", "content": f"key {SECRET}, again {SECRET}"}],
            "arguments": '{"token": "abcdefgh12345678"}',
        }
    ).encode()
    record(log, [body])
    (request,) = [e.event for e in log.read(RUN).events if isinstance(e.event, ModelRequest)]
    text = json.loads(request.body)["messages"][0]["content"]
    first, second = text.removeprefix("key ").split(", again ")
    assert first == second != SECRET
    assert "abcdefgh12345678" not in json.loads(request.body)["arguments"]
    assert log.redaction.apply(request.body) == request.body
    assert log.redaction.apply(body) == request.body
    for file in (tmp_path / "runs").iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_content_on_disk_is_not_readable_without_its_key(log, tmp_path):
    record(log, [b'{"messages": ["Ingrid Bergstrom owes 1.200"]}'])
    assert all(b"Bergstr" not in file.read_bytes() for file in (tmp_path / "runs").iterdir())


def test_a_flipped_byte_a_missing_piece_and_a_missing_event_end_the_run_there(log, tmp_path):
    record(log, conversation(3))
    damage(tmp_path, "UPDATE event SET data = replace(data, '200', '500') WHERE seq = 5")
    found = log.read(RUN)
    assert (len(found.events), found.damage) == (
        4,
        "event 5 (model.response) is not the one that was written",
    )
    assert found.summary.replayable is Replayable.NO

    record(log, conversation(3), run="7a" * 16)
    damage(
        tmp_path,
        "DELETE FROM piece WHERE id = (SELECT id FROM run WHERE run = ?) AND length(content) > 500",
        "7a" * 16,
    )
    assert "a piece of its body is missing" in (log.read("7a" * 16).damage or "")

    record(log, conversation(3), run="8b" * 16)
    damage(tmp_path, "DELETE FROM event WHERE id = (SELECT id FROM run WHERE run = ?) AND seq > 5", "8b" * 16)
    assert log.read("8b" * 16).damage == "event 6 of 7 is missing"


def test_erasing_a_subject_leaves_events_without_content(log, tmp_path):
    record(log, conversation(2), subject="customer-7")
    record(log, conversation(2), run="6f" * 16)
    assert log.erase("customer-7") == 1
    erased = log.read(RUN)
    assert erased.summary.replayable is Replayable.ERASED
    assert len(erased.events) == 5
    assert {e.event.body for e in erased.events if isinstance(e.event, ModelRequest)} == {b""}
    assert log.read("6f" * 16).summary.replayable is Replayable.MODEL_SIDE


def test_a_run_with_every_draw_is_exact_and_an_unknown_one_is_named(log):
    record(log, conversation(1), taps=("clock", "uuid", "random"))
    assert log.read(RUN).summary.replayable is Replayable.EXACT
    with pytest.raises(UnknownName, match="no run 'ffff'"):
        log.read("ffff")
    record(log, [], run="5e0" + RUN[3:])
    with pytest.raises(UnknownName, match="several runs"):
        log.read("5e")


def test_a_log_that_cannot_be_written_says_so_before_a_call_and_marks_the_gap(tmp_path):
    free = [1 << 40]
    with Recorder(tmp_path / "runs", disk_free=lambda _: free[0]) as log:
        record(log, conversation(1))
        assert log.trouble() is None
        free[0] = 0
        log._writer._disk_looked = 0.0
        log.append(RUN, Denied(code="x", reason="y"))
        with pytest.raises(StorageUnavailable, match="are free on the disk"):
            log.flush()
        assert "are free on the disk" in log.trouble()
        free[0] = 1 << 40
        log.append(RUN, Denied(code="z", reason="y"))
        log.flush()
        assert log.trouble() is None
        assert log.health().lost == 1
        assert (log.read(RUN).summary.lost, log.read(RUN).summary.replayable) == (1, Replayable.NO)


def test_what_waits_is_bounded_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "WAITING_BYTES_MAX", 10_000)
    with Recorder(tmp_path / "runs") as log:
        log._writer._file._lock.acquire()
        log.append(RUN, RunOpened(agent="triage"))
        for _ in range(4):
            log.append(RUN, ModelRequest(route="/v1/x", body=b"x" * 2_000))
        with pytest.raises(LimitExceeded):
            log.append(RUN, ModelRequest(route="/v1/x", body=b"x" * 5_000))
        log._writer._file._lock.release()
        log.flush()
        assert log.health().lost == 1
    with pytest.raises(StorageUnavailable):
        log.append(RUN, RunOpened(agent="triage"))


def test_another_process_reads_while_one_writes_and_a_sweep_closes_and_drops(tmp_path):
    with Recorder(tmp_path / "runs") as writer, Recorder(tmp_path / "runs") as reader:
        record(writer, conversation(2))
        assert reader.read(RUN).summary.calls == 2
        now = reader.read(RUN).summary.last_ns
        assert writer.sweep(now + 2 * 3_600 * 10**9, keep_days=30) == 0
        writer.flush()
        assert reader.read(RUN).summary.state is RunState.ABANDONED
        assert writer.sweep(now + 40 * 86_400 * 10**9, keep_days=30) == 1
        assert reader.runs() == []


def test_a_second_opening_adds_what_it_knows_and_keeps_the_weaker_identity(log):
    log.append(RUN, RunOpened(agent="unknown", identity=IdentitySource.PATH, taps=("egress",)))
    log.append(
        RUN, RunOpened(agent="triage", identity=IdentitySource.LINKED_ID, version="v", taps=("clock",))
    )
    log.flush()
    (summary,) = log.runs(agent="triage")
    assert (summary.version, summary.identity, summary.events) == ("v", IdentitySource.LINKED_ID, 1)
