# SPDX-License-Identifier: Apache-2.0
"""The state of a ledger is another one after every write, by this process or another, and the same after every read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def url(request, tmp_path):
    if request.param == "postgres":
        return fresh_postgres_url(request)
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def note(ledger):
    return ledger.record(kind="test", agent="a", at=NOW, actor="x", document="{}")


def test_only_a_write_changes_the_state_whoever_writes(url):
    with open_ledger(url) as ledger, open_ledger(url) as other:
        before = ledger.database.state()
        ledger.decisions("a")
        other.charters()
        assert ledger.database.state() == before
        note(ledger)
        own = ledger.database.state()
        note(other)
        others = ledger.database.state()
    assert len({before, own, others}) == 3


def test_a_sign_of_life_is_no_news_and_hides_none(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with open_ledger(url) as ledger, open_ledger(url) as other:
        work = SqlWork(ledger.database)
        lease = work.acquire("pager", "us")
        before = ledger.database.state()
        assert work.acquire("pager", "us").fence == lease.fence
        assert SqlWork(other.database).acquire("pager", "them") is None
        assert ledger.database.state() == before
        note(ledger)
        work.acquire("pager", "us")
        after = ledger.database.state()
        assert after != before
        note(other)
        work.acquire("pager", "us")
        assert ledger.database.state() not in {before, after}


def test_a_sign_of_life_that_fails_leaves_nothing_behind(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        with pytest.raises(ZeroDivisionError), ledger.database.write_no_news():
            raise ZeroDivisionError
        before = ledger.database.state()
        assert SqlWork(ledger.database).acquire("pager", "us")
        note(ledger)
        assert ledger.database.state() != before
