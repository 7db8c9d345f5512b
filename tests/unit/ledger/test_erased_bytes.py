# SPDX-License-Identifier: Apache-2.0
"""What belonged to somebody who was erased stands in no byte of the ledger's files any more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.ledger import database
from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.feedback import SqlFeedback
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.feedback import Feedback, FeedbackKind


class Clock:
    def now(self):
        return datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def log(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), Clock())
        for number in range(120):
            payloads = {"arguments": f"secret {number} " * (1 + number % 40)}
            log.append(
                "call.decided", "a", {"n": number}, payloads=payloads, subject=f"person-{number % 30:04}"
            )
        yield log


def kept_of(folder, person):
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        subject, key = connection.execute(
            "SELECT subject, wrapped_key FROM audit_subjects WHERE person = ?", (person,)
        ).fetchone()
        sealed = connection.execute(
            "SELECT sealed FROM audit_payloads WHERE subject = ?", (subject,)
        ).fetchall()
    return [text.encode() for text in (person, key, *(row[0] for row in sealed))]


def found(folder, texts):
    files = [path.read_bytes() for path in folder.glob("ledger.sqlite*")]
    return [text for text in texts if any(text in file for file in files)]


def test_neither_key_nor_name_nor_payload_is_left_in_the_files(log, tmp_path):
    for number in (0, 7, 29):
        person = f"person-{number:04}"
        texts = kept_of(tmp_path, person)
        assert found(tmp_path, texts) == texts
        log.erase(person, actor="owner", reason="asked")
        assert found(tmp_path, texts) == []


def test_a_reader_that_stays_does_not_hold_an_erasure_up(log, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "FORGET_WAIT_MS", 50)
    texts = kept_of(tmp_path, "person-0003")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM audit_records").fetchone()
        assert log.erase("person-0003", actor="owner", reason="asked") is not None
        assert not log.database.forget_log()
    assert log.database.forget_log()
    assert found(tmp_path, texts) == []
    with log.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_nothing_that_users_or_reviewers_wrote_is_left_in_the_files(log, tmp_path):
    """The write-ahead log kept what was said as long as the server ran."""
    trace, person = f"{7:032x}", "zebediah@customer.example"
    SqlFeedback(log.database).add(
        Feedback(
            agent="a", trace_id=trace, kind=FeedbackKind.COMPLAINT, text=f"I am {person}", at=Clock().now()
        )
    )
    assert found(tmp_path, [person.encode()])
    SqlCuration(log.database).erase(person, actor="owner", at=Clock().now())
    assert found(tmp_path, [person.encode()]) == []


def test_nothing_of_a_claim_is_left_in_the_files(tmp_path):
    trace, person = f"{7:032x}", "zebediah@customer.example"
    with open_ledger(ledger_url(tmp_path)) as ledger:
        outcome = Outcome(
            trace_id=trace, agent="a", task_type="t", version_digest="v1", task_start_ns=1, claim=f'"{person}"',
            status=OutcomeStatus.VERIFIED, found=person, critical=None, verifier="v", verified_at=Clock().now(), attempts=1,
        )  # fmt: skip
        ledger.save_outcomes([outcome])
        assert found(tmp_path, [person.encode()])
        assert ledger.erase_claims({trace: None}, at=Clock().now(), actor="owner") == 1
        assert found(tmp_path, [person.encode()]) == []
