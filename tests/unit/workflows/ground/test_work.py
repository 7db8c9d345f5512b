# SPDX-License-Identifier: Apache-2.0
"""What came of a job is written down, also where the ledger was away at that moment; a job is never left between two states."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import Conflict, StorageUnavailable
from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.work import Job, WorkChange
from pilothouse.workflows.ground import work
from pilothouse.workflows.ground.work import Courier, Delivery, Worker

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAUSE = Job(key="INC-1/pause", action="pause", subject="INC-1", document="{}", run_after=NOW)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "FAILED_SETTLE_PAUSE_S", 0.0)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        yield SqlWork(ledger.database, lambda: NOW)


class Outage:
    """Does pauses for a worker whose ledger is away for a while."""

    def __init__(self, store):
        self.store, self.is_away, self.sent = store, True, 0

    def worker(self, **given):
        return Worker(
            self.store, timers={}, couriers={"pause": Courier(send=self.send, settle=self.settle)}, **given
        )

    def send(self, job):
        self.sent += 1
        if self.is_away:
            raise StorageUnavailable("the disk is full", remedy="`pilothouse doctor`")
        return Delivery(ok=True, said="paused")

    def settle(self, job, delivery, lease):
        if self.is_away:
            raise StorageUnavailable("the disk is full", remedy="`pilothouse doctor`")
        if delivery.ok:
            self.store.commit(lease, WorkChange(finished=(job.key,)))
        else:
            self.store.retry(lease, job.key, run_after=NOW, error=delivery.said)


def turn(worker):
    worker.tick()
    worker.settle_all()


def test_a_pause_that_could_neither_be_made_nor_written_down_is_made_once_it_can_be(store):
    outage, said = Outage(store), []
    worker = outage.worker(on_note=said.append)
    try:
        store.commit(worker.beat(), WorkChange(jobs=(PAUSE,)))
        for _ in range(3):
            turn(worker)
        assert outage.sent == 1, "what came of it is still to be written"
        assert len(said) == 1, "and is said once"
        outage.is_away = False
        for _ in range(3):
            turn(worker)
        (job,) = store.jobs("INC-1")
        assert (job.state, outage.sent) == ("done", 2)
    finally:
        worker.stop()


def test_what_another_process_took_over_is_not_written_by_who_had_it(store):
    outage = Outage(store)
    worker = outage.worker()
    try:
        store.commit(worker.beat(), WorkChange(jobs=(PAUSE,)))
        turn(worker)
        store.release(worker.lease)
        later = outage.worker()
        try:
            outage.is_away = False
            later.beat()
            turn(later)
        finally:
            later.stop()
        worker.beat()
        turn(worker)
        (job,) = store.jobs("INC-1")
        assert (job.state, job.attempts) == ("done", 2)
    finally:
        worker.stop()


def test_who_stops_while_a_page_is_being_sent_keeps_the_lease_until_it_is_sent(tmp_path, monkeypatch):
    """Two servers, one is restarted, and a chat service is slow: nobody is called twice."""
    monkeypatch.setattr(work, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(work, "POLL_S", 0.05)
    sent, begun = [], threading.Event()

    def send(job):
        sent.append(job.key)
        begun.set()
        time.sleep(1.5)
        return Delivery(ok=True, said="sent")

    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlWork(ledger.database, life_s=0.6)

        def settle(job, _delivery, lease):
            store.commit(lease, WorkChange(finished=(job.key,)))

        courier = Courier(send=send, settle=settle)
        one, other = (Worker(store, timers={}, couriers={"pause": courier}) for _ in range(2))
        store.commit(one.beat(), WorkChange(jobs=(PAUSE,)))
        one.start()
        assert begun.wait(5)
        other.start()
        one.stop()
        time.sleep(0.5)
        other.stop()
        assert [job.state for job in store.jobs("INC-1")] == ["done"]
    assert sent == ["INC-1/pause"]


def test_what_came_of_a_job_is_written_although_its_incident_changed_again_and_again(store):
    tries = []

    def settle(job, _delivery, lease):
        tries.append(job.key)
        if len(tries) < 3:
            raise Conflict("INC-1 was changed", remedy="again", subject="INC-1")
        store.commit(lease, WorkChange(finished=(job.key,)))

    courier = Courier(send=lambda _job: Delivery(ok=True, said="sent"), settle=settle)
    worker = Worker(store, timers={}, couriers={"pause": courier})
    store.commit(worker.beat(), WorkChange(jobs=(PAUSE,)))
    for _ in range(4):
        turn(worker)
    worker.stop()
    assert [job.state for job in store.jobs("INC-1")] == ["done"]
