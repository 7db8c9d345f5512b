# SPDX-License-Identifier: Apache-2.0
"""The owner is told that a model retires 90, 60, 30, 14 and 7 days before, once each, also over restarts."""

from __future__ import annotations

from control_rooms import AGENT, NOW, reach, run

from pilothouse.core.charter.answers import known
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.people.directory import check_directory
from pilothouse.workflows.reports.retirement_reminders import remind_of_retirements


def test_each_of_the_five_reminders_goes_out_once_and_says_what_to_type(room, web, clock):
    owner = known(charter_in_force(room.installation.ledger, AGENT).owner.person)
    reach(room, owner, web.url)
    clock.moment = NOW.replace(year=2032, month=3, day=25)  # 97 days before
    told = []
    for _ in range(2 * 100):
        told.append(remind_of_retirements(room, clock()))
        run(room)
        clock.move(hours=12)
    assert sum(told) == 5
    start = "the pinned model acme-large-2026-04-12 retires on 30 Jun 2032, in "
    assert [one.partition(start)[2] for one in web.titles] == [f"{days} days" for days in (90, 60, 30, 14, 7)]
    assert "pilothouse gate --candidate TARGET --plan" in web.received[0][1]["message"]


def test_one_reminder_is_due_however_late_the_charter_came(room, web, clock):
    clock.moment = NOW.replace(year=2032, month=6, day=25)
    reach(room, known(charter_in_force(room.installation.ledger, AGENT).owner.person), web.url)
    assert [remind_of_retirements(room, clock()) for _ in range(2)] == [1, 0]
    run(room)
    assert web.titles[0].endswith("in 5 days")


def test_an_owner_who_left_without_a_substitute_is_an_incident_and_nobody_is_reminded(room, clock):
    clock.moment = NOW.replace(year=2032, month=6, day=25)
    check_directory(room.installation, {"oidc:nobody@corp.example": True}, clock(), actor="test")
    assert remind_of_retirements(room, clock()) == 0
