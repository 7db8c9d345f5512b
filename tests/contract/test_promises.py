# SPDX-License-Identifier: Apache-2.0
"""What `ports.Promises` promises, on a SQLite file and on a PostgreSQL server alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.promises import SqlPromises
from pilothouse.ports.gateway import Promise, Promises, Spent

__all__ = ["postgres_server"]

DAY = date(2026, 11, 20)
PROMISE = Promise(
    answer_id="resp_1",
    agent="triage",
    key="0a1b2c3d",
    run="ab" * 16,
    call_id="cd" * 8,
    identity="path",
    asked="m-2026-01-01",
    provider="acme",
    model="m-2026-01-01",
    began_ns=1_700_000_000_000_000_000,
    day=DAY,
    usd_pico=4_000,
    tokens=400,
)
CHARGE = Spent(usd_pico=4_000, tokens=400, calls=1, estimated=1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request, tmp_path):
    url = (
        fresh_postgres_url(request)
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    )
    with open_ledger(url) as ledger:
        yield ledger.database


@pytest.fixture
def promises(database):
    return SqlPromises(database)


def spent(database):
    return SqlGatewayStore(database).spent(DAY).get("triage", Spent())


def test_a_promise_comes_and_goes_with_its_charge(database, promises):
    assert isinstance(promises, Promises)
    assert promises.keep(PROMISE) is None
    assert promises.find("resp_1") == (PROMISE,)
    assert spent(database) == CHARGE
    assert promises.end(PROMISE, Spent(usd_pico=9_000, tokens=700, calls=1))
    assert promises.find("resp_1") == ()
    assert spent(database) == Spent(usd_pico=9_000, tokens=700, calls=1)
    assert not promises.end(PROMISE, Spent(usd_pico=9_000, tokens=700, calls=1))
    assert spent(database) == Spent(usd_pico=9_000, tokens=700, calls=1)


def test_an_answer_that_says_nothing_of_its_cost_leaves_the_charge(database, promises):
    promises.keep(PROMISE)
    assert promises.end(PROMISE, None)
    assert spent(database) == CHARGE


def test_of_many_that_end_a_promise_one_does(database, promises):
    promises.keep(PROMISE)
    used = Spent(usd_pico=9_000, tokens=700, calls=1)
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: promises.end(PROMISE, used), range(8))) == [False] * 7 + [True]
    assert spent(database) == used


def test_an_id_is_each_agents_own_and_the_later_call_has_it(database, promises):
    of_another = replace(PROMISE, agent="other")
    again = replace(PROMISE, call_id="ef" * 8)
    promises.keep(PROMISE)
    promises.keep(of_another)
    assert promises.keep(again) == PROMISE
    assert set(promises.find("resp_1")) == {again, of_another}
    assert not promises.end(PROMISE, None), "the id is another call's now"
    assert spent(database) == Spent(usd_pico=8_000, tokens=800, calls=2, estimated=2)


def test_one_agent_takes_nobody_elses_room(database):
    promises = SqlPromises(database, promises_max=1)
    promises.keep(PROMISE)
    with pytest.raises(LimitExceeded, match="waits for 1 answers"):
        promises.keep(replace(PROMISE, answer_id="resp_2"))
    assert spent(database) == CHARGE
    promises.keep(replace(PROMISE, answer_id="resp_2", agent="other"))


def test_what_is_overdue_is_taken_once_and_stays_charged(database, promises):
    later = replace(PROMISE, answer_id="resp_2", began_ns=PROMISE.began_ns + 10)
    promises.keep(PROMISE)
    promises.keep(later)
    assert promises.take_overdue(PROMISE.began_ns) == ()
    assert promises.take_overdue(later.began_ns) == (PROMISE,)
    assert promises.take_overdue(later.began_ns) == ()
    assert promises.find("resp_2") == (later,)
    assert spent(database) == Spent(usd_pico=8_000, tokens=800, calls=2, estimated=2)
