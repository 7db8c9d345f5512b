# SPDX-License-Identifier: Apache-2.0
"""The weekly note goes out by itself: once a week, to the owner, really sent, and on record."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from control_rooms import AGENT, NOW, reach, run

from pilothouse.errors import StorageUnavailable
from pilothouse.workflows.incidents.pager import Pager
from pilothouse.workflows.incidents.paging import NOTE
from pilothouse.workflows.people.directory import check_directory
from pilothouse.workflows.reports.report import show_weekly
from pilothouse.workflows.reports.weekly_notes import WeeklyNotes
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.history import freeze_changes
from pilothouse.workflows.verdict.kept_pages import unfrozen

WEEK = "31 corrections became 4 cases and 9 examples."


@pytest.fixture
def notes(room):
    def judge(agent):
        return unfrozen(room.installation, agent, room.installation.clock.now())

    return WeeklyNotes(room, judge, lambda _agent, _now: WEEK)


def sent(room):
    found = room.installation.ledger.decisions(AGENT, kind="note.sent")
    return [json.loads(one.document) for one in found]


def test_the_owner_is_sent_the_note_once_a_week(room, web, clock, notes):
    reach(room, "dana", web.url)
    assert [notes.look(clock()), notes.look(clock())] == [1, 0]
    run(room)
    assert len(web.received) == 1
    assert web.titles[0].endswith(f"{AGENT}, week to 16 Nov 2026")
    assert WEEK.rstrip(".") in web.received[0][1]["message"]
    assert sent(room) == [{"note": f"weekly/{AGENT}/2026-W47", "person": "dana", "via": "chat"}]
    clock.move(days=4)
    assert notes.look(clock()) == 0, "the week is not over"
    clock.move(days=1)
    assert notes.look(clock()) == 1
    run(room)
    assert len(web.received) == 2


def test_an_owner_who_left_is_told_nothing_and_who_stands_in_is(room, web, clock, notes):
    reach(room, "dana", web.url)
    active = {f"oidc:{who}@corp.example": True for who in ("lee", "kim", "vp", "sam")}
    check_directory(room.installation, active, clock(), actor="test")
    assert notes.look(clock()) == 1
    run(room)
    assert web.received == []
    (job,) = room.work.jobs(f"weekly/{AGENT}/2026-W47")
    assert json.loads(job.document)["person"] == "lee"
    check_directory(room.installation, {}, clock(), actor="test")
    clock.move(days=7)
    assert notes.look(clock()) == 0


def test_a_charter_of_this_week_has_no_week_to_tell_of(room, clock, notes):
    clock.moment = NOW - timedelta(days=10)
    assert notes.look(clock()) == 0


def test_a_charter_that_is_changed_on_the_morning_of_the_note_costs_no_note(room, clock, notes, tmp_path):
    file = tmp_path / "repository" / "ap-invoice-triage.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("per_day: 1200", "per_day: 1201"), encoding="utf-8"
    )
    accept_file(room.installation.ledger, file, clock(), actor="test")
    assert notes.look(clock()) == 1


def test_a_note_that_reaches_nobody_is_said_and_calls_nobody_else(room, clock, notes):
    told = []
    notes.look(clock())
    run(room, told)
    assert len(told) == 1
    assert "dana cannot be told: no address is known: `pilothouse contact set dana URL`" in told[0]
    assert sent(room) == []
    (job,) = room.work.jobs(f"weekly/{AGENT}/2026-W47")
    assert job.state == "dead"


def test_an_agent_that_cannot_be_judged_gets_its_note_when_it_can(room, clock, notes):
    def fails(_agent):
        raise StorageUnavailable("the lake cannot be read", remedy="Run `pilothouse doctor`.")

    broken = WeeklyNotes(room, fails, lambda _agent, _now: WEEK)
    with pytest.raises(StorageUnavailable):
        broken.look(clock())
    assert notes.look(clock()) == 1


def test_a_kill_before_a_note_that_went_out_is_done_leaves_the_record_that_it_did(
    room, web, clock, notes, monkeypatch
):
    reach(room, "dana", web.url)
    notes.look(clock())
    pager = Pager(room)
    worker = pager.worker()
    lease = worker.beat()
    (job,) = room.work.claim(lease, (NOTE,))

    class Killed(BaseException):
        pass

    def killed(*_args):
        raise Killed

    delivery = pager.send(job)
    with monkeypatch.context() as dying:
        dying.setattr(room.work, "commit", killed)
        with pytest.raises(Killed):
            pager.settle_note(job, delivery, lease)
    assert [one["person"] for one in sent(room)] == ["dana"]
    worker.stop()


def test_a_note_that_is_sent_late_is_about_the_week_that_ended_on_its_monday(room, web, clock, notes):
    """Told on a Wednesday, the three days since Monday were in this note and in the next one."""
    asked = []
    late = WeeklyNotes(room, notes._judge, lambda _agent, until: asked.append(until) or "")
    reach(room, "dana", web.url)
    for days in (2, 5, 7):
        assert late.look(clock()) == (days != 5)
        clock.move(days=days)
    assert late.look(clock()) == 1
    assert [f"{until:%a %d %H:%M}" for until in asked] == ["Mon 16 07:00", "Mon 23 07:00", "Mon 30 07:00"]
    assert {later - earlier for earlier, later in pairwise(asked)} == {timedelta(days=7)}


def test_what_a_late_note_compares_with_is_named_by_its_day(room, clock):
    clock.moment -= timedelta(days=16)
    freeze_changes(room.installation, clock())
    clock.move(days=16)
    until = clock() - timedelta(days=3)
    note = show_weekly(room.installation, unfrozen(room.installation, AGENT, clock()), until=until)
    assert f"as on {until - timedelta(days=7):%-d %b %Y}" in note.status.plain


@pytest.mark.parametrize(
    ("days", "said"), [(8, "as a week ago"), (40, "with no verdict a week ago to compare")]
)
def test_a_verdict_from_before_a_long_silence_is_none_of_a_week_ago(room, clock, days, said):
    now = clock.moment
    clock.moment = now - timedelta(days=days)
    freeze_changes(room.installation, clock())
    clock.moment = now
    note = show_weekly(room.installation, unfrozen(room.installation, AGENT, now))
    assert said in note.status.plain
