# SPDX-License-Identifier: Apache-2.0
"""Forks workers from one warm process and kills each at a named point; run as a program, so that it has no threads.

Arguments: a template of ledger addresses with `{}`, a folder, the life of a lease in seconds, and points as
`name@nth`. For each point two workers share a fresh ledger: one is doomed, the other one has to finish alone.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.work import Job, Timer, WorkChange
from pilothouse.workflows.ground.work import Courier, Delivery, Worker

__all__ = ["TIMERS", "main", "outcome", "prepare", "work"]

TIMERS = 4
LIMIT_S = 40.0


def prepare(url, effects):
    """Set what is to be done: four timers that lead to a page each, and a page at once."""
    with closing(sqlite3.connect(effects)) as outside, outside:
        outside.execute("CREATE TABLE sent (key TEXT, pid INTEGER)")
    with open_ledger(url) as ledger:
        now = datetime.now(UTC)
        SqlWork(ledger.database).commit(
            None,
            WorkChange(
                timers=tuple(
                    Timer(key=f"t{n}", due_at=now, kind="ack", subject="INC-1") for n in range(TIMERS)
                ),
                jobs=(Job(key="at-once", action="page", subject="INC-1", document="{}", run_after=now),),
            ),
        )


def outcome(url, effects):
    """Return every page that went out, the state of each job, and how many timers fired."""
    with closing(sqlite3.connect(effects)) as outside:
        sent = [key for (key,) in outside.execute("SELECT key FROM sent ORDER BY key")]
    with open_ledger(url) as ledger:
        store = SqlWork(ledger.database)
        return sent, sorted((job.key, job.state) for job in store.jobs("INC-1")), len(store.lateness())


def work(url, effects, life_s, point="", nth=0):
    """Work until nothing is left to do, or until the point at which this process dies."""
    seen: dict[str, int] = {}

    def at(name):
        seen[name] = seen.get(name, 0) + 1
        if name == point and seen[name] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_ledger(url) as ledger:
        store = SqlWork(ledger.database, life_s=life_s)

        def fire(timer, lease):
            at("fire:commit")
            page = Job(
                key=f"{timer.key}/page",
                action="page",
                subject=timer.subject,
                document="{}",
                run_after=store.now(),
            )
            store.commit(lease, WorkChange(fired=timer.key, jobs=(page,)))

        def send(job):
            with closing(sqlite3.connect(effects, timeout=30)) as outside, outside:
                at("send:inside")
                outside.execute("INSERT INTO sent VALUES (?, ?)", (job.key, os.getpid()))
            return Delivery(ok=True, said="")

        def settle(job, _delivery, lease):
            at("settle:commit")
            store.commit(lease, WorkChange(finished=(job.key,)))

        worker = Worker(
            store, timers={"ack": fire}, couriers={"page": Courier(send=send, settle=settle)}, on_point=at
        )
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            worker.beat()
            worker.tick()
            worker.settle_all()
            left = [job for job in store.jobs("INC-1") if job.state in {"ready", "leased"}]
            if worker.lease and not left and store.next_due(("ack",)) is None:
                worker.stop()
                return 0
            time.sleep(0.02)
    return 1


def fork(*arguments):
    """Run `work` in a forked process and return its id."""
    pid = os.fork()
    if pid == 0:
        os._exit(work(*arguments))
    return pid


def main():
    """Print one line of JSON for each point."""
    template, folder, life_s = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    for number, spec in enumerate(sys.argv[4:]):
        name, _, nth = spec.partition("@")
        url, effects = template.format(number), folder / f"effects-{number}.sqlite"
        prepare(url, effects)
        doomed = fork(url, effects, life_s, name, int(nth))
        other = fork(url, effects, life_s)
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (doomed, other)]
        sent, states, fired = outcome(url, effects)
        print(
            json.dumps({"point": spec, "ends": ends, "sent": sent, "states": states, "fired": fired}),
            flush=True,
        )


if __name__ == "__main__":
    main()
