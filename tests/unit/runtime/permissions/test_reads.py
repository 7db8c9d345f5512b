# SPDX-License-Identifier: Apache-2.0
"""Reads that use nothing up are decided without waiting for a disk; their records follow, or nothing more is read."""

from __future__ import annotations

import json
import time

import pytest
from permissions_stub import IBAN, READ, Boundary, call, opening, tool

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger import write_behind
from pilothouse.ledger.write_behind import WriteBehind
from pilothouse.ports.audit import AuditEntry
from pilothouse.runtime.permissions.engine import CompiledTool


def find(number="7", **fields):
    return call("erp.find@1", effect="read", **{"number": number, **fields})


def test_an_allowed_read_is_recorded_as_if_it_had_been_waited_for(boundary):
    boundary.desk.open_task(opening(f"Pay 10 to {IBAN}"))
    waited = boundary.desk.decide(find())
    followed = boundary.desk.decide_read(find())
    assert (followed.decision, followed.origins, followed.position) == ("allow", waited.origins, None)
    boundary.book.close()
    first, second = (json.loads(one.text) for one in boundary.log.records()[-2:])
    assert first.pop("position") + 1 == second.pop("position")
    kept = [boundary.log.payloads(at)["arguments"][1] for at in (waited.position, waited.position + 1)]
    assert kept[0] == kept[1]
    for one in (first, second):
        assert one["commitments"].pop()["name"] == "arguments"
    assert first == second


def test_whatever_is_not_surely_allowed_or_uses_something_up_waits(boundary):
    assert boundary.desk.decide_read(call(recipient=IBAN, amount=10.0)) is None
    assert boundary.desk.decide_read(call(effect="read", recipient=IBAN, amount=10.0)) is None
    assert boundary.desk.decide_read(find(memo="x")) is None, "an argument that nobody declared"
    assert boundary.desk.decide_read(call("other@1", effect="read")) is None
    assert boundary.desk.decide_read(find(run="b" * 32, task_type="refund")) is None
    assert boundary.desk.decide_read(find(run="c" * 32, task_type="x" * 300)) is None
    counted = {**READ, "budget": {"per_task": 2, "per_day": 40}}
    many = {**READ, "args": {f"argument_{number}": READ["args"]["number"] for number in range(40)}}
    writing = {**READ, "effect": "internal"}
    assert [CompiledTool("a.b@1", tool(one)).only_reads for one in (READ, counted, many, writing)] == [
        True,
        False,
        False,
        False,
    ]
    assert boundary.log.size() == 0


def test_while_records_cannot_be_written_reads_are_refused(tmp_path, database, monkeypatch):
    monkeypatch.setattr(write_behind, "FOLLOW_WITHIN_S", 0.0)
    monkeypatch.setattr(write_behind, "AGAIN_AFTER_S", 0.01)
    boundary = Boundary(tmp_path, database=database)
    boundary.desk.open_task(opening("Find 7"))
    writes, down = boundary.log._group.run, [True]

    def run(work):
        if down:
            raise StorageUnavailable("the ledger is away", remedy="Wait.")
        return writes(work)

    monkeypatch.setattr(boundary.log._group, "run", run)
    assert boundary.desk.decide_read(find()).decision == "allow"
    until(lambda: boundary.desk.decide_read(find()) is None)
    assert (boundary.desk.decide(find()).decision, boundary.desk.decide(find()).rule) == ("deny", "record")
    down.clear()
    until(lambda: boundary.desk.decide_read(find()) is not None)
    boundary.book.close()
    assert boundary.log.size() >= 2, "the first one was kept until it could be written"
    assert boundary.desk.decide_read(find()) is None, "after the end nothing is taken"


def test_too_many_that_wait_are_not_taken(boundary, monkeypatch):
    monkeypatch.setattr(write_behind, "WAITING_MAX", 3)
    written = []
    records = WriteBehind(written.extend)
    entry = AuditEntry(kind="x", agent="a", actor="b", at=boundary.clock.now(), document={})
    assert [records.take(entry) for _ in range(5)] == [True, True, True, False, False]
    records.close()
    assert len(written) == 3


def until(done):
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("count", [1, 3])
def test_records_in_one_transaction_have_the_text_of_records_one_by_one(boundary, count):
    document = {"b": [1, "ü"], "a": None}
    entry = AuditEntry(kind="k", agent="a", actor="p", at=boundary.clock.now(), document=document)
    boundary.log.append("k", "a", document, actor="p")
    boundary.log.append_all([entry] * count)
    texts = [json.loads(one.text) for one in boundary.log.records()]
    assert [text.pop("position") for text in texts] == list(range(count + 1))
    assert all(text == texts[0] for text in texts)
