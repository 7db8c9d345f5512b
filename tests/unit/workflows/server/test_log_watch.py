# SPDX-License-Identifier: Apache-2.0
"""A server keeps the evidence of MON-10 alive: nobody has to type `audit verify` each day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from pilothouse.app import server_parts
from pilothouse.app.boundary import log_ticks
from pilothouse.connectors import log_verifier
from pilothouse.errors import LimitExceeded, StorageUnavailable
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.workflows.ground import background
from pilothouse.workflows.server import upkeep
from pilothouse.workflows.server.log_watch import RECORDS_MAX, verify_when_due
from pilothouse.workflows.verdict.accept import accept_file

AGENT = "ap-invoice-triage"
CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Book:
    """A ledger of which only evidence and charters are asked for."""

    def __init__(self, **charters):
        self.accepted = charters
        self.verified = []

    def charters(self):
        return [SimpleNamespace(agent=agent, accepted_at=at) for agent, at in self.accepted.items()]

    def evidence(self, agent, *, since, kinds):
        assert kinds == ["audit.verified"]
        return [at for at in self.verified if at >= since]


def look(book, now, *, size=7, does=True):
    def verify():
        book.verified += [now] if does else []
        return "no room on the disk"

    return verify_when_due(book, now, size=lambda: size, verify=verify)


def test_the_log_is_verified_when_half_the_life_of_its_evidence_is_over_and_not_before():
    book = Book(triage=NOW)
    assert [look(book, NOW + hours * HOUR) for hours in (0.9, 1, 2, 12, 13.1, 14)] == [
        False, True, False, False, True, False,
    ]  # fmt: skip


def test_an_agent_that_came_later_gets_its_evidence_too():
    book = Book(triage=NOW - 48 * HOUR)
    assert look(book, NOW)
    book.evidence = lambda agent, **asked: [] if agent == "new" else [NOW]
    book.accepted["new"] = NOW - 2 * HOUR
    with pytest.raises(StorageUnavailable):  # it is due, and this ledger never has it
        look(book, NOW)


def test_a_verification_that_leaves_nothing_on_record_is_said_with_its_words():
    with pytest.raises(StorageUnavailable, match="no room on the disk"):
        look(Book(triage=NOW - 2 * HOUR), NOW, does=False)


def test_a_log_that_is_too_long_for_the_server_is_said_and_not_read():
    book = Book(triage=NOW - 2 * HOUR)
    with pytest.raises(LimitExceeded, match="250,001 records") as said:
        look(book, NOW, size=RECORDS_MAX + 1)
    assert ("pilothouse audit verify" in said.value.remedy, book.verified) == (True, [])


def test_a_process_of_its_own_puts_the_result_on_record(tmp_path):
    settings = load_settings({"PILOTHOUSE_HOME": str(tmp_path)})
    with open_ledger(settings.ledger_url) as ledger:
        now = datetime.now(UTC)
        accept_file(ledger, CHARTER, now - 2 * HOUR, actor="dana")
        (tick,) = log_ticks(ledger, settings)
        assert tick.run(now)
        (record,) = ledger.evidence(AGENT, kinds=["audit.verified"])
        assert (record.passed, tick.run(now)) == (True, False)


def test_a_server_looks_in_a_thread_that_keeps_no_other_work_waiting(monkeypatch):
    ticks = {"server_ticks": [], "review_ticks": [], "alert_ticks": [], "note_ticks": [], "watch_ticks": []}
    for name, made in {**ticks, "log_ticks": ["log"]}.items():
        monkeypatch.setattr(
            upkeep if name == "server_ticks" else server_parts, name, lambda *_, _made=made, **__: _made
        )
    monkeypatch.setattr(background, "Background", lambda ticks, *_: list(ticks))
    parts = MagicMock()
    parts.gateway.ticks = ["spending"]
    work, *apart = server_parts.recurring_work(parts, MagicMock())
    assert ("log" in work, apart) == (False, [["spending"], ["log"]])


def test_a_process_that_hangs_is_ended(monkeypatch, tmp_path):
    monkeypatch.setattr(log_verifier, "VERIFY_S_MAX", 0.01)
    assert log_verifier.verify_log_apart(tmp_path) == "it was not done after 0 minutes"
