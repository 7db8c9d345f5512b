# SPDX-License-Identifier: Apache-2.0
"""A call after its budget was used up, and a forged task token, call somebody: one incident, and once an hour a line of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_rooms import AGENT
from permissions_stub import IBAN, Boundary, call, opening

from pilothouse.errors import Denied
from pilothouse.ports.approvals import BUDGET_DENIED, TOKEN_REFUSED
from pilothouse.runtime.permissions.desk import PermissionDesk
from pilothouse.runtime.permissions.open_tasks import TOKENS_OF_BEFORE_S, OpenTasks
from pilothouse.workflows.watch.provider_watch import watch_providers


class Seconds:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


@pytest.fixture
def since_start():
    return Seconds()


@pytest.fixture
def boundary(room, clock, since_start, tmp_path):
    made = Boundary(tmp_path, database=room.installation.ledger.database)
    clock.moment = made.clock.at
    policy = replace(made.desk._policy, agent=AGENT)
    made.desk = PermissionDesk(policy, made.book, tasks=OpenTasks(monotonic=since_start))
    return made


@pytest.fixture
def pay(boundary):
    def paid(number, times=1, amount=150.0):
        run = f"{number:032}"
        boundary.desk.open_task(replace(opening(f"Pay {amount:.0f} to {IBAN}", run=run), agent=AGENT))
        calls = [replace(call(run=run, recipient=IBAN, amount=amount), agent=AGENT)] * times
        return [boundary.desk.decide(one) for one in calls][-1]

    return paid


def told(room, kind):
    return room.installation.ledger.decisions(AGENT, kind=kind)


def test_calls_after_the_budget_open_one_incident_and_are_told_once_an_hour(room, clock, boundary, pay):
    assert [pay(0, times=2).is_spent, pay(1, times=5).is_spent] == [False, True]
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert incident.title.startswith(f"{AGENT} goes on calling bank.pay@3 after its budget was used up")
    pay(2, times=3)
    assert len(told(room, BUDGET_DENIED)) == 1
    for moved in (clock.move, boundary.clock.move):
        moved(hours=1)
    pay(3, times=3)
    assert len(told(room, BUDGET_DENIED)) == 2
    assert watch_providers(room, clock()) == 0
    assert len(room.incidents.incidents(agent=AGENT)) == 1


def test_a_sum_of_the_day_that_is_used_up_is_told_and_what_was_never_possible_is_not(room, pay):
    assert pay(0, amount=9_000.0).decision == "deny"  # above its maximum, at any time
    assert told(room, BUDGET_DENIED) == ()
    assert not any(pay(number).is_spent for number in range(1, 21))
    assert pay(21).is_spent
    (said,) = told(room, BUDGET_DENIED)
    assert said.document == '{"tool":"bank.pay@3"}'


def test_a_forged_token_opens_an_incident_and_one_of_the_process_before_does_not(
    room, clock, boundary, since_start
):
    def shown(token):
        with pytest.raises(Denied, match="given to nobody"):
            boundary.desk.run_of(token)

    shown("a token of the process before")
    assert told(room, TOKEN_REFUSED) == ()
    since_start.at = TOKENS_OF_BEFORE_S
    for number in range(3):
        shown(f"forged {number}")
    assert len(told(room, TOKEN_REFUSED)) == 1
    assert [watch_providers(room, clock()) for _ in range(2)] == [1, 0]
    (incident,) = room.incidents.incidents(agent=AGENT)
    assert "a task token that nobody gave" in incident.title
    refused = boundary.log.search(agent=AGENT, kind="task.token_refused")
    assert len(refused) == 4  # each of them is on record
