# SPDX-License-Identifier: Apache-2.0
"""After an erasure no table and no record of the log holds a digest against which a guess at a text could be held."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fresh_ledger import ledger_url
from old_ledger import rows_moved, sqlite_url, steps_to

from pilothouse.core.charter.digest import canonical_digest
from pilothouse.core.evidence.review import (
    Answer,
    Label,
    ReviewItem,
    ReviewSource,
    content_digest,
    item_digest,
)
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.holds import SqlHolds
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ports.feedback import Feedback, FeedbackKind
from pilothouse.ports.holds import HeldOutput
from pilothouse.workflows.reports.audit import verify_log
from pilothouse.workflows.review.second_opinions import again, asked_again

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
AGENT, WHO = "triage", "kim@customer.example"
GIVEN, SAID = f"from {WHO}", "refund"
CONTENT = content_digest("invoice", GIVEN, SAID)
CONVERSATION = canonical_digest([AGENT, WHO])
CALL = hashlib.sha256(f"{GIVEN}\0{SAID}".encode()).hexdigest()
TRACE = "1" * 32
LATE = NOW + timedelta(hours=9)
SAID_OF_IT = Feedback(agent=AGENT, trace_id=TRACE, kind=FeedbackKind.COMPLAINT, text=f"I am {WHO}", at=NOW)


def item(**fields):
    values = {"agent": AGENT, "task_type": "invoice", "trace_id": TRACE, "why": "", "input": GIVEN}
    values |= {"item_id": item_digest(ReviewSource.SAMPLED, AGENT, TRACE, ""), "proposal": SAID}
    values |= {"source": ReviewSource.SAMPLED, "call_digest": CONTENT, "created_at": NOW, "due_at": LATE}
    values |= {"conversation": CONVERSATION}
    return ReviewItem(**values | fields)


def held(trace=TRACE, call=CALL):
    values = {"agent": AGENT, "task_type": "invoice", "trace_id": trace, "call_digest": call, "input": GIVEN}
    return HeldOutput(**values, proposal=SAID, reason="", held_at=NOW, deadline=NOW + timedelta(hours=1))


def lived(database):
    """Ask about a text in every way, and answer."""
    queue, holds = SqlReviewQueue(database), SqlHolds(database)
    first = item()
    queue.add([first, again(first, NOW, salt="second")])
    hold, late = holds.hold(held()), holds.hold(held("2" * 32))
    for number, one in enumerate((first.item_id, hold.hold_id)):
        at = NOW + timedelta(seconds=number)
        queue.answer(Label(item_id=one, agent=AGENT, reviewer="ana", answer=Answer.ACCEPT, at=at))
    assert [one.hold_id for one in holds.expire(LATE)] == [late.hold_id]
    assert SqlFeedback(database).add(SAID_OF_IT)


def guesses():
    """Return what somebody who guesses the whole text can make of it."""
    yield from (CONTENT, CALL, CONVERSATION, SAID_OF_IT.feedback_id)
    for source in ReviewSource:
        for trace in (TRACE, "2" * 32):
            for digest in (CONTENT, CALL):
                yield from (item_digest(source, AGENT, trace, digest, salt) for salt in ("", "second"))


def everything(file):
    with closing(sqlite3.connect(file)) as raw:
        return "\n".join(raw.iterdump())


@pytest.fixture
def file(tmp_path):
    ledger_url(tmp_path)
    return tmp_path / "ledger.sqlite"


def problems(ledger, keys):
    log = SqlAuditLog(ledger.database, load_keys(keys), SimpleNamespace(now=lambda: LATE))
    room = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=lambda: ())
    return verify_log(room, LATE).problems


def test_whoever_guesses_a_text_cannot_hold_the_guess_against_anything(file, tmp_path):
    with open_ledger(f"sqlite:///{file}") as ledger:
        lived(ledger.database)
        SqlCuration(ledger.database).erase(WHO, actor="ana", at=LATE)
        (said,) = SqlFeedback(ledger.database).of(AGENT)
        assert (said.text, said.trace_id) == ("[erased]", TRACE)
        assert problems(ledger, tmp_path / "keys") == ()
    kept = everything(file)
    assert WHO not in kept
    assert [one for one in guesses() if one in kept] == []


def test_what_an_earlier_release_left_of_erased_texts_is_overwritten_and_on_record(file, tmp_path):
    with open_ledger(f"sqlite:///{file}") as ledger:
        lived(ledger.database)
    old = sqlite_url(tmp_path / "old" / "ledger.sqlite")
    steps_to(old, "0025")
    rows_moved(f"sqlite:///{file}", old)
    with closing(sqlite3.connect(tmp_path / "old" / "ledger.sqlite")) as raw, raw:
        raw.execute("UPDATE review_items SET input = '[erased]', proposal = '[erased]', used = '[]'")
        raw.execute("DELETE FROM audit_records WHERE kind = 'rows.changed'")
        raw.execute("DELETE FROM decisions")
        raw.execute("DELETE FROM audit_records")
        raw.execute("DELETE FROM audit_head")
        raw.execute("DELETE FROM review_labels")
        raw.execute("UPDATE alembic_version SET version_num = '0025'")
    with open_ledger(old) as ledger, ledger.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT item_id, call_digest, content_digest FROM review_items")
        for row in rows.all():
            assert (row.call_digest, row.content_digest) == (f"erased {row.item_id}",) * 2
        entries = connection.exec_driver_sql("SELECT record FROM audit_records").scalars().all()
        assert len(entries) == 1
        assert '"added":4,"removed":4' in entries[0]


def test_what_was_asked_again_by_an_earlier_release_is_not_asked_a_third_time(file):
    with open_ledger(f"sqlite:///{file}") as ledger:
        queue, first = SqlReviewQueue(ledger.database), item()
        assert not asked_again(queue, first, "third")
        former = item_digest(first.source, AGENT, TRACE, first.call_digest, "third")
        queue.add([item(item_id=former)])
        assert asked_again(queue, first, "third")
        assert not asked_again(queue, first, "repeat")
        queue.add([again(first, NOW, salt="repeat")])
        assert asked_again(queue, first, "repeat")


def test_the_same_call_of_the_same_task_is_held_once(file):
    with open_ledger(f"sqlite:///{file}") as ledger:
        holds = SqlHolds(ledger.database)
        one, again_one = holds.hold(held()), holds.hold(held())
        others = {holds.hold(held("2" * 32)).hold_id, holds.hold(held(call="a" * 64)).hold_id}
        assert one.hold_id == again_one.hold_id
        assert len({one.hold_id, *others}) == 3
