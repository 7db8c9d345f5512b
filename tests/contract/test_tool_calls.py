# SPDX-License-Identifier: Apache-2.0
"""What `ports.IdempotencyStore` promises, asked of every implementation alike."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from tool_world import HOUR

from pilothouse.errors import Conflict
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.tool_calls import SqlToolCalls, erase_results, tool_calls
from pilothouse.ports.tools import IdempotencyStore
from pilothouse.runtime.tools.memory_calls import MemoryCalls
from pilothouse.testing import FixedClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryCalls()
        return
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield SqlToolCalls(ledger.database, load_keys(tmp_path / "keys").wrapper)


def reserve(store, call="c1", **fields):
    usual = {
        "call": call,
        "key": "k1",
        "args_digest": "d1",
        "agent": "triage",
        "run": "a" * 32,
        "tool": "erp.route@1",
        "at": NOW,
    }
    return store.reserve(**(usual | fields))


def test_a_call_is_reserved_once_and_its_result_is_kept(store):
    assert isinstance(store, IdempotencyStore)
    assert reserve(store).fresh
    store.step("c1", before="reserved", after="sent", result=None, at=NOW)
    store.step("c1", before="sent", after="done", result='{"ok":true}', at=NOW)
    again = reserve(store, key="k2", args_digest="d2")
    assert (again.fresh, again.key, again.args_digest, again.state, again.result) == (
        False,
        "k1",
        "d1",
        "done",
        '{"ok":true}',
    )


def test_a_step_from_a_state_that_is_over_is_refused(store):
    reserve(store)
    store.step("c1", before="reserved", after="sent", result=None, at=NOW)
    with pytest.raises(Conflict):
        store.step("c1", before="reserved", after="sent", result=None, at=NOW)


def test_calls_that_were_sent_and_never_settled_are_found(store):
    for number, state in enumerate(["reserved", "sent", "unknown", "done"]):
        reserve(store, call=f"c{number}", at=NOW - HOUR)
        if state != "reserved":
            store.step(f"c{number}", before="reserved", after="sent", result=None, at=NOW - HOUR)
        if state in ("unknown", "done"):
            store.step(f"c{number}", before="sent", after=state, result=None, at=NOW - HOUR / (number + 1))
    assert [row.call for row in store.unsettled("triage", older_than=NOW)] == ["c1", "c2"]
    assert store.unsettled("triage", older_than=NOW - 2 * HOUR) == ()
    assert store.unsettled("other", older_than=NOW) == ()


def test_of_many_threads_one_makes_the_row(store):
    fresh, start = [], threading.Barrier(8)

    def go():
        start.wait()
        fresh.append(reserve(store).fresh)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(fresh) == 1


def test_a_result_is_kept_encrypted_and_gone_with_its_person(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), FixedClock(NOW))
        store = SqlToolCalls(ledger.database, log.keys.wrapper)
        for call, person in (("c1", "ana"), ("c2", "ben")):
            reserve(store, call=call)
            store.step(call, before="reserved", after="sent", result=None, at=NOW)
            text = f'{{"iban": "of {person}"}}'
            store.step(call, before="sent", after="done", result=text, at=NOW, person=person)
        with ledger.database.read() as connection:
            kept = connection.execute(select(tool_calls.c.result)).scalars().all()
        assert not any("iban" in one for one in kept)
        assert [reserve(store, call=call).result for call in ("c1", "c2")] == [
            '{"iban": "of ana"}',
            '{"iban": "of ben"}',
        ]
        assert log.erase("ana", actor="dpo", reason="asked") is not None
        assert [reserve(store, call=call).result for call in ("c1", "c2")] == [None, '{"iban": "of ben"}']
        assert reserve(store, call="c1").state == "done"


def test_erasing_a_run_forgets_what_its_calls_returned_and_nobody_makes_them_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.ledger.tool_calls.RUNS_AT_ONCE", 2)
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        store = SqlToolCalls(ledger.database, load_keys(tmp_path / "keys").wrapper)
        for call, run in (("c1", "a"), ("c2", "b"), ("c3", "c"), ("c4", "c")):
            reserve(store, call=call, run=run * 32)
            if call != "c4":
                store.step(call, before="reserved", after="sent", result=None, at=NOW)
                store.step(call, before="sent", after="done", result='{"ok":true}', at=NOW)
        runs = ["a" * 32, "d" * 32, "c" * 32, "c" * 32]
        assert erase_results(ledger.database, runs) == 2
        assert erase_results(ledger.database, runs) == erase_results(ledger.database, []) == 0
        left = [reserve(store, call=f"c{number}") for number in (1, 2, 3, 4)]
    assert [(one.fresh, one.state, one.result) for one in left] == [
        (False, "done", None),
        (False, "done", '{"ok":true}'),
        (False, "done", None),
        (False, "reserved", None),
    ]
