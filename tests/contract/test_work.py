# SPDX-License-Identifier: Apache-2.0
"""What `ports.WorkStore` promises, on a SQLite file and on a PostgreSQL server alike."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from postgres_server import fresh_postgres_url, postgres_server

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.work import LEASE_LIFE_S, TIMERS_MAX, WORK_SCHEMA, Job, Timer, WorkChange, WorkStore

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KINDS, ACTIONS = ("ack",), ("page",)


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.moment = NOW

    def __call__(self):
        return self.moment

    def move(self, **delta):
        self.moment += timedelta(**delta)


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
def clock():
    return Hands()


@pytest.fixture
def store(database, clock):
    return SqlWork(database, clock)


def timer(key="INC-1/ack/1", *, after_s=60, **fields):
    base = {"key": key, "due_at": NOW + timedelta(seconds=after_s), "kind": "ack", "subject": "INC-1"}
    return Timer(**base | fields)


def job(key="INC-1/1/sam", **fields):
    base = {"key": key, "action": "page", "subject": "INC-1", "document": "{}", "run_after": NOW}
    return Job(**base | fields)


def test_one_holder_at_a_time_and_a_silent_one_is_replaced_with_a_higher_fence(store, clock):
    assert isinstance(store, WorkStore)
    first = store.acquire("work", "a")
    assert (first.fence, store.acquire("work", "b")) == (1, None)
    clock.move(seconds=8)
    assert store.acquire("work", "a").fence == 1
    clock.move(seconds=LEASE_LIFE_S + 0.1)
    assert store.acquire("work", "b").fence == 2
    assert store.acquire("work", "a") is None
    with pytest.raises(Conflict, match="taken over"):
        store.commit(first, WorkChange(timers=(timer(),)))
    clock.move(days=1)
    assert store.due(KINDS) == ()


def test_a_lease_given_back_is_free_at_once_and_a_late_return_of_a_lost_one_is_harmless(store, clock):
    first = store.acquire("work", "a")
    store.release(first)
    second = store.acquire("work", "b")
    assert second.fence == 2
    store.release(first)
    assert store.acquire("work", "c") is None


@pytest.mark.parametrize("jump", [{"hours": -1}, {"days": -1}, {"hours": 1}, {"days": 1}])
def test_a_clock_that_jumps_neither_freezes_the_lease_nor_lets_two_hold_it(store, clock, jump):
    held = store.acquire("work", "a")
    clock.move(**jump)
    taken = store.acquire("work", "b")
    assert taken is not None, "a heartbeat from the future or the far past is no life sign"
    assert store.acquire("work", "a") is None
    with pytest.raises(Conflict):
        store.claim(held, ACTIONS)


def test_a_timer_is_due_at_its_moment_and_fires_once_for_ever(store, clock):
    lease = store.acquire("work", "a")
    store.commit(lease, WorkChange(timers=(timer(),)))
    clock.move(seconds=59.9)
    assert store.due(KINDS) == ()
    assert store.next_due(KINDS) == NOW + timedelta(seconds=60)
    clock.move(seconds=0.6)
    assert store.due(KINDS) == (timer(),)
    lease = store.acquire("work", "a")
    store.commit(None, WorkChange(fired=timer().key))
    assert store.lateness() == (0.5,)
    for again in (WorkChange(fired=timer().key), WorkChange(fired="never set")):
        with pytest.raises(Conflict, match="does not wait"):
            store.commit(None, again)
    store.commit(None, WorkChange(timers=(timer(after_s=1),)))
    assert store.due(KINDS) == (), "a key that fired never comes again"
    assert store.next_due(KINDS) is None


def test_a_cancelled_timer_never_fires(store, clock):
    store.commit(None, WorkChange(timers=(timer(), timer("other"))))
    store.commit(None, WorkChange(cancelled=(timer().key, "unknown")))
    clock.move(hours=1)
    with pytest.raises(Conflict, match="does not wait"):
        store.commit(None, WorkChange(fired=timer().key))
    assert [one.key for one in store.due(KINDS)] == ["other"]


def test_what_a_newer_program_wrote_is_left_alone(store, clock):
    newer = WORK_SCHEMA + 1
    store.commit(
        None,
        WorkChange(
            timers=(timer(schema=newer), timer("kind", kind="tide")),
            jobs=(job(schema=newer), job("action", action="fax")),
        ),
    )
    clock.move(hours=1)
    assert store.due(KINDS) == ()
    assert store.claim(store.acquire("work", "a"), ACTIONS) == ()


def test_a_job_is_claimed_once_and_a_lost_holders_job_comes_back(store, clock):
    store.commit(None, WorkChange(jobs=(job(), job(), job("later", run_after=NOW + timedelta(hours=1)))))
    first = store.acquire("work", "a")
    (claimed,) = store.claim(first, ACTIONS)
    assert (claimed.key, claimed.attempts, claimed.state) == (job().key, 1, "leased")
    assert store.claim(first, ACTIONS) == ()
    clock.move(seconds=LEASE_LIFE_S + 1)
    second = store.acquire("work", "b")
    (again,) = store.claim(second, ACTIONS)
    assert (again.key, again.attempts) == (claimed.key, 2)
    with pytest.raises(Conflict):
        store.commit(first, WorkChange(finished=(claimed.key,)))
    store.commit(second, WorkChange(finished=(claimed.key,)))
    assert [(one.key, one.state) for one in store.jobs("INC-1")] == [(job().key, "done"), ("later", "ready")]


def test_a_job_that_failed_waits_and_one_given_up_says_why(store, clock):
    store.commit(None, WorkChange(jobs=(job(),)))
    lease = store.acquire("work", "a")
    store.claim(lease, ACTIONS)
    store.retry(lease, job().key, run_after=NOW + timedelta(seconds=5), error="503 " + "x" * 9_000)
    assert store.claim(lease, ACTIONS) == ()
    clock.move(seconds=5)
    (again,) = store.claim(lease, ACTIONS)
    assert again.last_error.startswith("503 x")
    assert len(again.last_error) == 500
    store.commit(lease, WorkChange(dead=((job().key, "gave up"),)))
    assert [(one.state, one.last_error) for one in store.jobs("INC-1")] == [("dead", "gave up")]


def test_a_change_is_all_or_nothing(store):
    with pytest.raises(Conflict):
        store.commit(None, WorkChange(fired="nothing", timers=(timer(),), jobs=(job(),)))
    assert store.next_due(KINDS) is None
    assert store.jobs("INC-1") == ()


def test_threads_that_race_for_a_lease_leave_one_holder(store):
    found = []
    racers = [
        threading.Thread(target=lambda n=n: found.append(store.acquire("work", f"h{n}"))) for n in range(8)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len([one for one in found if one]) == 1


def test_an_answer_is_bounded(store):
    with pytest.raises(LimitExceeded):
        store.due(KINDS, limit=TIMERS_MAX + 1)


def test_without_a_given_clock_the_time_is_now(database):
    assert abs((SqlWork(database).now() - datetime.now(UTC)).total_seconds()) < 30
