# SPDX-License-Identifier: Apache-2.0
"""What `ports.AnswerOwners` promises, on a SQLite file and on a PostgreSQL server alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from postgres_server import fresh_postgres_url, postgres_server
from sqlalchemy import func, select

from pilothouse.ledger import stored_answers
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.stored_answers import SqlAnswerOwners, gateway_answers
from pilothouse.ports.gateway import ANSWERS_KEPT_DAYS, AnswerOwners

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request, tmp_path):
    url = (
        fresh_postgres_url(request)
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    )
    with open_ledger(url) as ledger:
        yield ledger.database


def rows(database):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(gateway_answers)).scalar_one()


def test_an_answer_is_whose_it_was_first(database):
    owners = SqlAnswerOwners(database)
    assert isinstance(owners, AnswerOwners)
    assert owners.owners(["resp_1"]) == {}
    assert owners.claim([], NOW) == 0
    assert owners.claim([("resp_1", "triage"), ("resp_1", "other"), ("resp_2", "other")], NOW) == 0
    assert owners.claim([("resp_1", "other"), ("x" * 100_000 + "\0\ud800", "other")], NOW) == 0
    long = "x" * 100_000 + "\0\ud800"
    assert owners.owners(["resp_1", "resp_2", "resp_3", long]) == {
        "resp_1": "triage",
        "resp_2": "other",
        long: "other",
    }
    assert rows(database) == 3


def test_many_come_at_once(database):
    owners = SqlAnswerOwners(database)
    many = [(f"resp_{number}", "triage") for number in range(1_201)]
    assert owners.claim(many[:1_000], NOW) == owners.claim(many, NOW) == 0
    assert rows(database) == 1_201


def test_one_agent_takes_nobody_elses_room(database):
    owners = SqlAnswerOwners(database, a_day_max=2)
    given = [(f"resp_{number}", "triage") for number in range(3)]
    assert owners.claim([*given, ("resp_9", "other")], NOW) == 1
    assert owners.claim([("resp_8", "triage")], NOW) == 1
    assert owners.owners(["resp_1", "resp_2", "resp_9"]) == {"resp_1": "triage", "resp_9": "other"}
    assert owners.claim([("resp_8", "triage")], NOW + timedelta(days=1)) == 0


def test_what_no_provider_keeps_any_more_is_forgotten(database):
    owners = SqlAnswerOwners(database)
    owners.claim([("resp_1", "triage")], NOW)
    owners.claim([("resp_2", "triage")], NOW + timedelta(days=ANSWERS_KEPT_DAYS))
    assert owners.owners(["resp_1"]) == {"resp_1": "triage"}
    owners.claim([("resp_3", "triage")], NOW + timedelta(days=ANSWERS_KEPT_DAYS + 1))
    assert owners.owners(["resp_1", "resp_2"]) == {"resp_2": "triage"}


def test_what_other_processes_add_is_counted_now_and_then(database, monkeypatch):
    monkeypatch.setattr(stored_answers, "COUNTED_EVERY", 3)
    here, there = (SqlAnswerOwners(database, a_day_max=4) for _ in "ab")
    assert (
        here.claim([("resp_1", "triage")], NOW)
        == there.claim([("resp_2", "triage"), ("resp_3", "triage")], NOW)
        == 0
    )
    assert here.claim([("resp_4", "triage")], NOW) == here.claim([("resp_5", "triage")], NOW) == 0
    assert here.claim([("resp_6", "triage")], NOW) == 1
    assert here.claim([("resp_6", "triage")], NOW + timedelta(days=1)) == 0
