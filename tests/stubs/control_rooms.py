# SPDX-License-Identifier: Apache-2.0
"""A control room on a fresh SQLite ledger with the golden charter in force and a clock that a test moves."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from fresh_ledger import ledger_url
from source_tree import ROOT

from pilothouse.connectors.apprise_notifier import AppriseNotifier
from pilothouse.ledger.contacts import SqlContacts
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.watch import SqlWatch
from pilothouse.settings import load_settings
from pilothouse.testing import MemoryLake
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.incidents.pager import Pager
from pilothouse.workflows.people.contacts import set_contact
from pilothouse.workflows.verdict.accept import accept_file

__all__ = ["AGENT", "NOW", "Hands", "control_room_at", "reach", "room_over", "run"]

AGENT = "ap-invoice-triage"
NOW = datetime(2026, 11, 18, 10, tzinfo=UTC)
"""A Wednesday at ten: inside business hours, with the rest of the week ahead."""


class Hands:
    """A clock that a test moves."""

    def __init__(self, moment=NOW):
        self.moment = moment

    def __call__(self):
        return self.moment

    now = __call__

    def move(self, **delta):
        self.moment += timedelta(**delta)


@contextmanager
def control_room_at(folder, clock=None):
    """Open a control room; charters of `tests/golden/charters` are in force since ten days."""
    clock = clock or Hands()
    repository = folder / "repository"
    shutil.copytree(ROOT / "tests" / "golden" / "charters", repository)
    (repository / "verifiers").mkdir()
    (repository / "verifiers" / "erp.py").write_text(
        "def routing_matches(task):\n    return True\n", encoding="utf-8"
    )
    home = folder / "home"
    home.mkdir(parents=True)
    settings = load_settings({}, home=home)
    with open_ledger(ledger_url(home)) as ledger:
        accept_file(ledger, repository / "ap-invoice-triage.yaml", clock() - timedelta(days=10), actor="test")
        installation = Installation(settings=settings, clock=clock, lake=MemoryLake(), ledger=ledger)
        yield room_over(installation, ledger.database, clock)


def room_over(installation, database, clock):
    """The control room of an installation that is open."""
    return ControlRoom(
        installation=installation,
        controls=SqlControls(database),
        incidents=SqlIncidents(database, clock),
        work=SqlWork(database, clock),
        contacts=SqlContacts(database),
        notifier=AppriseNotifier(),
        watch=SqlWatch(database),
    )


def reach(room, person, url, *, channel="chat", zone="UTC"):
    """Give a person an address."""
    set_contact(room, person, url, channel=channel, zone=zone, actor="test", now=room.work.now())


def run(room, notes=None):
    """Let a worker do everything that is due now, then give the lease back."""
    worker = Pager(room, (notes if notes is not None else []).append).worker()
    for _ in range(20):
        worker.beat()
        done = worker.tick()
        worker.settle_all()
        if not done:
            break
    worker.stop()
