# SPDX-License-Identifier: Apache-2.0
"""What `ports.IdempotencyStore` promises, asked of every implementation alike."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url
from sqlalchemy import select
from tool_world import governed, tool_call

from pilothouse.errors import Conflict, ToolError
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.database import Database
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.tool_calls import SqlToolCalls, erase_results, tool_calls
from pilothouse.ports.tools import IdempotencyStore
from pilothouse.runtime.tools.door import Door
from pilothouse.runtime.tools.memory_calls import MemoryCalls
from pilothouse.runtime.tools.pipeline import call_through
from pilothouse.runtime.tools.steps import drive
from pilothouse.testing import FixedClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryCalls()
        return
    with open_ledger(ledger_url(tmp_path)) as ledger:
        yield SqlToolCalls(ledger.database, load_keys(tmp_path / "keys").wrapper)


def begin(store, call="c1", **fields):
    usual = {
        "call": call,
        "key": "k1",
        "args_digest": "d1",
        "agent": "triage",
        "run": "a" * 32,
        "tool": "erp.route@1",
        "at": NOW,
    }
    store.begin(**(usual | fields))


def test_a_call_is_begun_once_and_its_result_is_kept(store):
    assert isinstance(store, IdempotencyStore)
    assert store.known("c1") is None
    begin(store)
    store.step("c1", before="sent", after="done", result='{"ok":true}', at=NOW)
    with pytest.raises(Conflict):
        begin(store, key="k2", args_digest="d2")
    kept = store.known("c1")
    assert (kept.key, kept.args_digest, kept.state, kept.result) == ("k1", "d1", "done", '{"ok":true}')


def test_a_step_from_a_state_that_is_over_is_refused(store):
    begin(store)
    store.step("c1", before="sent", after="done", result=None, at=NOW)
    with pytest.raises(Conflict):
        store.step("c1", before="sent", after="done", result=None, at=NOW)


def test_of_many_threads_one_begins_a_call(store):
    begun, start = [], threading.Barrier(8)

    def go():
        start.wait()
        try:
            begin(store)
        except Conflict:
            return
        begun.append(1)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1


def test_a_result_is_kept_encrypted_and_gone_with_its_person(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), FixedClock(NOW))
        store = SqlToolCalls(ledger.database, log.keys.wrapper)
        for call, person in (("c1", "ana"), ("c2", "ben")):
            begin(store, call=call)
            text = f'{{"iban": "of {person}"}}'
            store.step(call, before="sent", after="done", result=text, at=NOW, person=person)
        with ledger.database.read() as connection:
            kept = connection.execute(select(tool_calls.c.result)).scalars().all()
        assert not any("iban" in one for one in kept)
        assert [store.known(call).result for call in ("c1", "c2")] == [
            '{"iban": "of ana"}',
            '{"iban": "of ben"}',
        ]
        assert log.erase("ana", actor="dpo", reason="asked") is not None
        assert [store.known(call).result for call in ("c1", "c2")] == [None, '{"iban": "of ben"}']
        assert store.known("c1").state == "done"


def test_erasing_a_run_forgets_what_its_calls_returned_and_nobody_makes_them_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.ledger.tool_calls.RUNS_AT_ONCE", 2)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlToolCalls(ledger.database, load_keys(tmp_path / "keys").wrapper)
        for call, run in (("c1", "a"), ("c2", "b"), ("c3", "c"), ("c4", "c")):
            begin(store, call=call, run=run * 32)
            if call != "c4":
                store.step(call, before="sent", after="done", result='{"ok":true}', at=NOW)
        runs = ["a" * 32, "d" * 32, "c" * 32, "c" * 32]
        assert erase_results(ledger.database, runs) == 2
        assert erase_results(ledger.database, runs) == erase_results(ledger.database, []) == 0
        left = [store.known(f"c{number}") for number in (1, 2, 3, 4)]
    assert [(one.state, one.result) for one in left] == [
        ("done", None),
        ("done", '{"ok":true}'),
        ("done", None),
        ("sent", None),
    ]


def test_a_call_with_an_effect_is_two_commits_and_one_that_never_leaves_is_none(tmp_path, monkeypatch):
    written, write = [], Database.write

    def counted(database):
        written.append(1)
        return write(database)

    tool = governed("external", rate_per_s=0.001, burst=1, attempts=1)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlToolCalls(ledger.database, load_keys(tmp_path / "keys").wrapper)
        monkeypatch.setattr(Database, "write", counted)
        seen = []

        def pay():
            with ledger.database.read() as connection:
                seen.append(connection.execute(select(tool_calls.c.state)).scalars().all())
            return {"ok": True}

        def make(call_id):
            return drive(call_through(Door(store=store), tool, tool_call(tool, call_id=call_id)), pay)

        assert make("1") == make("1") == {"ok": True}
        assert (seen, len(written)) == ([["sent"]], 2)
        with pytest.raises(ToolError) as refused:
            make("2")
        assert (refused.value.kind, len(written)) == ("rate_limited", 2)
