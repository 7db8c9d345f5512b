# SPDX-License-Identifier: Apache-2.0
"""Whoever can renew evidence is told 14, 7 and 1 days before it lapses, once each, also over restarts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from control_rooms import AGENT, NOW, reach, run

from pilothouse.ledger.leases import jobs
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.people.directory import check_directory
from pilothouse.workflows.people.signing import sign
from pilothouse.workflows.reports.lapse_reminders import LapseReminders, due_reminders
from pilothouse.workflows.verdict.kept_pages import unfrozen

SIGNED_AT = NOW - timedelta(days=180 - 20)
"""OWN-5 counts for 180 days: it lapses in 20."""


@pytest.fixture
def reminders(room):
    sign(room.installation.ledger, AGENT, "OWN-5", person="vp", actor="vp", source="test", now=SIGNED_AT)

    def judge(agent):
        return unfrozen(room.installation, agent, room.installation.clock.now())

    return LapseReminders(room, judge)


def said(room):
    found = room.installation.ledger.decisions(AGENT, kind="note.sent")
    return [json.loads(one.document)["note"].split("/")[2:] for one in found]


def test_each_of_the_three_reminders_goes_out_once_and_says_what_to_type(room, web, clock, reminders):
    reach(room, "vp", web.url)
    told = []
    for _ in range(2 * 21):
        reminders.look(clock())
        LapseReminders(room, reminders._judge).look(clock())
        run(room)
        told.append(len(web.received))
        clock.move(hours=12)
    assert told[-1] == 3
    titles = [one.split(": ", 1)[1] for one in web.titles]
    assert titles == [
        "2 pieces of evidence lapse on 8 Dec 2026, in 14 days",
        "2 pieces of evidence lapse on 8 Dec 2026, in 7 days",
        "2 pieces of evidence lapse on 8 Dec 2026, tomorrow",
    ]
    body = web.received[0][1]["message"]
    assert "OWN-5 thresholds by vp: pilothouse evidence attest OWN-5 --as vp" in body
    assert sorted(said(room)) == [["vp", days, "2026-12-08"] for days in ("1", "14", "7")]


def test_a_substitute_is_told_to_sign_under_the_own_name(room, web, clock, reminders):
    ledger = room.installation.ledger
    sign(ledger, AGENT, "OWN-4", person="dana", actor="test", source="test", now=SIGNED_AT)
    reach(room, "lee", web.url)
    charter = charter_in_force(ledger, AGENT)
    check_directory(room.installation, {charter.identity_of("lee").lower(): True}, clock(), actor="test")
    clock.move(days=7)
    assert reminders.look(clock()) == 1
    run(room)
    body = web.received[0][1]["message"]
    assert body == "OWN-4 agreed · model by dana: pilothouse evidence attest OWN-4 --as lee"


def test_the_longest_names_fit_into_a_row_of_the_outbox(room, clock, reminders):
    """A database that holds columns to their length refused the row, and every other reminder of the agent with it."""
    charter = charter_in_force(room.installation.ledger, AGENT).model_copy(update={"agent": "a" * 48})
    clock.move(days=7)
    verdict = unfrozen(room.installation, AGENT, clock()).verdict
    ((reminder, items),) = due_reminders(verdict, charter).items()
    job = reminders._job(charter, replace(reminder, person="p" * 64), items, clock())
    for name in ("key", "subject"):
        assert len(getattr(job, name)) <= jobs.c[name].type.length


def test_what_was_renewed_meanwhile_is_not_reminded_of(room, web, clock, reminders):
    reach(room, "vp", web.url)
    clock.move(days=7)
    assert reminders.look(clock()) == 1
    sign(room.installation.ledger, AGENT, "OWN-5", person="vp", actor="vp", source="test", now=clock())
    clock.move(days=8)
    assert reminders.look(clock()) == 0


def test_who_left_is_not_told_and_a_short_life_is_no_news(room, clock, reminders):
    check_directory(room.installation, {}, clock(), actor="test")
    clock.move(days=7)
    assert reminders.look(clock()) == 0, "vp left and has no substitute"
    found = unfrozen(room.installation, AGENT, clock())
    ((reminder, items),) = due_reminders(found.verdict, found.charter).items()
    assert (reminder.person, reminder.days, len(items)) == ("vp", 14, 2)
    (requirement,) = [one for one in found.verdict.requirements if one.requirement == "OWN-5"]
    daily = tuple(
        one.model_copy(update={"window_to": one.lapses_at - timedelta(days=14)}) for one in requirement.items
    )
    nobody = tuple(one.model_copy(update={"who": ()}) for one in requirement.items)
    for changed, people in ((daily, []), (nobody, ["dana"])):
        other = found.verdict.model_copy(
            update={"requirements": (requirement.model_copy(update={"items": changed}),)}
        )
        assert [one.person for one in due_reminders(other, found.charter)] == people
