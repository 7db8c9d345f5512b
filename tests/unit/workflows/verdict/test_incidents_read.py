# SPDX-License-Identifier: Apache-2.0
"""However many incidents without a task came later, the last five that name one are asked about."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from pilothouse.core.action.incident import Incident, IncidentState
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.incidents import IncidentChange
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW as NOW
from pilothouse.workflows.verdict.assess import INCIDENTS_READ, _incidents, _replays

DAY = timedelta(days=1)


class Counted:
    """A store of incidents that counts how many it gave."""

    def __init__(self, store):
        self.store, self.given = store, 0

    def incidents(self, **asked):
        found = self.store.incidents(**asked)
        self.given += len(found)
        return found


@pytest.fixture
def world(tmp_path):
    with open_ledger(load_settings({}, home=tmp_path).ledger_url) as ledger:
        yield SimpleNamespace(incidents=Counted(SqlIncidents(ledger.database)), ledger=ledger)


def opened(world, *traces, agent="orders", days=1.0):
    def build(number):
        one = Incident(
            number=number, agent=agent, group="g", rule="owner", task_type=None, severity="sev2", state=IncidentState.OPEN,
            title="", opened_at=NOW - days * DAY, level=1, traces=traces,
        )  # fmt: skip
        return IncidentChange(incident=one, events=())

    world.incidents.store.open(lambda _: None, build)


def test_five_with_a_task_are_found_behind_many_without(world):
    for number in range(6):
        opened(world, f"t{number}")
    for _ in range(2 * INCIDENTS_READ):
        opened(world)
    opened(world, "other", agent="refunds")
    found = _replays(world, "orders", NOW)
    assert (found.n, found.items) == (5, ("t5", "t4", "t3", "t2", "t1"))


def test_no_more_is_read_than_is_asked_about(world):
    for number in range(2 * INCIDENTS_READ):
        opened(world, f"t{number}")
    assert _replays(world, "orders", NOW).n == 5
    assert world.incidents.given == INCIDENTS_READ


def test_what_is_older_than_a_replay_counts_is_not_read_on(world):
    for number in range(3 * INCIDENTS_READ):
        opened(world, f"t{number}", days=100)
    assert _replays(world, "orders", NOW) is None
    assert world.incidents.given == INCIDENTS_READ
    assert not list(_incidents(SimpleNamespace(incidents=None), "orders", NOW))
