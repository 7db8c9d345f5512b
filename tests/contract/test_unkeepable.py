# SPDX-License-Identifier: Apache-2.0
"""A text or a number that a database cannot hold is refused in words, on either database, and nothing is called broken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.errors import CharterInvalid, MalformedRecord
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.verdict.accept import accept_file

__all__ = ["postgres_server"]
NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def ledger(request, tmp_path):
    url = fresh_postgres_url(request) if request.param == "postgres" else ledger_url(tmp_path)
    with open_ledger(url) as opened:
        yield opened


def test_half_a_character_is_refused(ledger):
    with pytest.raises(MalformedRecord, match="cannot be kept"):
        ledger.charter("a\ud800")
    with pytest.raises(MalformedRecord):
        ledger.record(kind="test", agent="a", at=NOW, actor="\udcff", document="{}")
    assert ledger.decisions("a") == ()


def test_a_number_past_every_column_is_refused(ledger):
    with pytest.raises(MalformedRecord):
        SqlIncidents(ledger.database).incident(10**30)


def test_a_nul_and_a_text_too_long_are_found_nowhere_or_refused(ledger):
    for ask in (lambda: ledger.charter("a\x00b"), lambda: ledger.charter("a" * 3_000)):
        try:
            assert ask() is None
        except MalformedRecord:
            assert ledger.database.is_postgres
    if ledger.database.is_postgres:
        with pytest.raises(MalformedRecord):
            ledger.record(kind="test", agent="a" * 65, at=NOW, actor="t", document="{}")


@pytest.mark.parametrize("agent", ['"a\\0b"', '"a\\nb"', f'"{"a" * 5_000}"', '"аp"'])
def test_a_charter_of_an_agent_that_no_ledger_holds_is_refused_with_its_line(ledger, tmp_path, agent):
    file = tmp_path / "charter.yaml"
    file.write_text(f"owner: dana\nagent: {agent}\n", encoding="utf-8")
    with pytest.raises(CharterInvalid) as refused:
        accept_file(ledger, file, NOW, actor="test")
    assert any(f"{file}:2" in finding and "agent" in finding for finding in refused.value.findings)
