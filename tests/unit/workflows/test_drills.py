# SPDX-License-Identifier: Apache-2.0
"""Every drill's fault is noticed and reaches people; a pager that is cut off fails loudly; the verdict sees it."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from control_rooms import AGENT, Hands, control_room_at, reach
from sinks import web_sink

from pilothouse.core.action.incident import IncidentState
from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Conflict, Denied, UsageError
from pilothouse.workflows import drills
from pilothouse.workflows.drill_rehearsals import drill_drift, drill_game_day, drill_model_upgrade
from pilothouse.workflows.drills import FAULTS, drill_fault, drill_owner_powers, drill_page, drill_runbook
from pilothouse.workflows.in_force import charter_of
from pilothouse.workflows.incidents import move


class Running:
    """The machine's clock, counted from a Wednesday at ten."""

    def __init__(self):
        self.start, self.began = Hands().moment, datetime.now(UTC)

    def __call__(self):
        return self.start + (datetime.now(UTC) - self.began)

    now = __call__


@pytest.fixture
def room(tmp_path):
    with control_room_at(tmp_path, Running()) as opened:
        yield opened


@pytest.fixture
def web():
    with web_sink() as sink:
        yield sink


def plant(room, name, wait_s=8.0):
    return drill_fault(room, AGENT, name, wait_s=wait_s, now=room.work.now(), tell=lambda _text: None)


def item(room, requirement, part):
    """What the verdict says now of one part of a requirement."""
    charter = charter_of(room.installation.ledger.charter(AGENT))
    verdict = decide(charter, room.installation.ledger.evidence(AGENT), room.work.now())
    found = next(one for one in verdict.requirements if one.requirement == requirement)
    return [one for one in found.items if part in (one.scope.part or "") or part == ""]


def insist(room, number, state, who, end, *, text=""):
    """Do what the refusal says when the pager was at the incident at the same moment: look again and repeat."""
    while True:
        try:
            return move(room, number, state, person=who, text=text, now=room.work.now())
        except Conflict:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def acknowledge_when_open(room, person, steps=(IncidentState.ACKNOWLEDGED,), count=1):
    """Be the person at the pager: take each incident as it opens."""

    def wait():
        taken: set[int] = set()
        end = time.monotonic() + 20
        while len(taken) < count and time.monotonic() < end:
            for one in room.incidents.incidents(active=True):
                if one.number not in taken and one.state is IncidentState.OPEN:
                    who = person if isinstance(person, str) else person[one.level]
                    for state in steps:
                        insist(room, one.number, state, who, end)
                    taken.add(one.number)
            time.sleep(0.05)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"dead-pager"}))
def test_every_planted_fault_is_noticed_and_reaches_somebody(room, web, name):
    reach(room, "sam", web.url)
    done = plant(room, name, wait_s=1.0)
    assert done.passed, done.sentence
    assert web.titles[0].partition(": ")[2].startswith("DRILL: ")
    assert "sam was reached by chat." in done.sentence
    assert "Not acknowledged yet." in done.sentence
    incident = room.incidents.incident(done.incidents[0])
    assert incident.drill == name
    assert room.controls.read().refusal_of(AGENT) is None, "a drill never pauses the agent"


def test_a_drill_writes_what_the_verdict_asks_for(room, web):
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.NO_EVIDENCE]
    reach(room, "sam", web.url)
    thread = acknowledge_when_open(room, "sam")
    done = plant(room, "completion-drop")
    thread.join()
    assert "Acknowledged by sam." in done.sentence
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.HOLDS]
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-8", "delay")), (
        "nobody knows what the detector needs at this agent's volume"
    )
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-1", "rate")), (
        "a shadow is no production"
    )


def test_an_alert_that_comes_later_than_promised_breaches_and_one_without_a_promise_proves_nothing(
    room, web, monkeypatch
):
    reach(room, "sam", web.url)
    plant(room, "cost-burst", wait_s=0.5)
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-8", "delay")), (
        "cost promises no time"
    )
    monkeypatch.setattr(drills, "derived_delay", lambda *_: 7.0)
    plant(room, "completion-drop", wait_s=0.5)
    assert Status.HOLDS in {one.status for one in item(room, "MON-8", "delay")}
    slow = itertools.count(step=timedelta(days=22).total_seconds())
    monkeypatch.setattr("pilothouse.workflows.drills.time.monotonic", lambda: next(slow))
    plant(room, "completion-drop", wait_s=0.5)
    assert Status.BREACHED in {one.status for one in item(room, "MON-8", "delay")}


def test_a_drill_that_reaches_nobody_fails_and_the_verdict_says_so(room):
    done = plant(room, "completion-drop", wait_s=0.5)
    assert not done.passed
    assert "nobody was reached" in done.sentence
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.BREACHED]


def test_a_pager_that_is_cut_off_fails_loudly_on_every_level(room, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    done = plant(room, "dead-pager")
    assert done.passed, done.sentence
    assert web.received == []
    loud = [one.text for one in room.incidents.events(done.incidents[0]) if one.kind == "loud"]
    assert any("the pager is cut off by the drill" in text for text in loud)
    assert any("Nobody is called any more" in text for text in loud)


def test_a_charter_without_an_alert_for_it_fails_its_drill(room, web, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.alerts.rule_for", lambda *_: None)
    done = plant(room, "cost-burst")
    assert not done.passed
    assert "no alert rule of the charter watches cost_per_task" in done.sentence


def test_the_page_drill_proves_the_path_level_by_level(room, web):
    for person in ("sam", "kim", "dana", "vp", "lee"):
        reach(room, person, web.url)
    thread = acknowledge_when_open(room, {1: "kim", 2: "dana", 3: "vp"}, count=3)
    done = drill_page(room, AGENT, wait_s=15, tell=lambda _text: None)
    thread.join()
    assert done.passed, done.sentence
    assert done.sentence == "3 levels answered in time."
    assert [one.status for one in item(room, "OWN-3", "")] == [Status.HOLDS]
    assert {one.status for one in item(room, "OWN-2", "reached")} == {Status.HOLDS}
    assert [one.status for one in item(room, "OWN-7", "")] == [Status.HOLDS]


def test_a_level_that_stays_silent_breaches_the_path(room, web):
    reach(room, "sam", web.url)
    thread = acknowledge_when_open(room, "sam", count=1)
    done = drill_page(room, AGENT, wait_s=1.5, tell=lambda _text: None)
    thread.join()
    assert not done.passed
    assert "No answer in time from level 2, 3" in done.sentence
    assert "Not reached: dana" in done.sentence
    assert [one.status for one in item(room, "OWN-3", "")] == [Status.BREACHED]
    assert Status.BREACHED in {one.status for one in item(room, "OWN-2", "reached")}


def test_a_runbook_is_rehearsed_to_its_end(room, web):
    reach(room, "sam", web.url)
    with pytest.raises(UsageError, match="no alert rule"):
        drill_runbook(room, AGENT, "runbooks/none.md", person="sam", wait_s=0, tell=lambda _text: None)
    thread = acknowledge_when_open(room, "sam", steps=(IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED))
    done = drill_runbook(room, AGENT, "runbooks/quality.md", person="sam", wait_s=10, tell=lambda _text: None)
    thread.join()
    assert done.passed, done.sentence
    held = [one for one in item(room, "MON-5", "drill") if one.status is Status.HOLDS]
    assert ["runbooks/quality.md" in (one.scope.part or "") for one in held] == [True]


def test_the_owner_alone_shows_the_powers(room):
    with pytest.raises(Denied, match="sam is not the owner"):
        drill_owner_powers(room, AGENT, person="sam", now=room.work.now())
    done = drill_owner_powers(room, AGENT, person="dana", now=room.work.now())
    assert done.passed, done.sentence
    assert [one.status for one in item(room, "OWN-1", "powers")] == [Status.HOLDS]
    assert room.controls.read().pauses == {}


def test_no_drill_is_left_out():
    assert set(FAULTS) == {
        "completion-drop",
        "cost-burst",
        "lying-completion",
        "quality-drop",
        "tool-outage",
        "model-timeout",
        "dead-pager",
    }


def test_a_planted_change_of_inputs_is_noticed_and_none_is_not(room):
    done = drill_drift(room, AGENT, now=room.work.now())
    assert done.passed, done.sentence


def test_a_model_update_is_rehearsed_from_the_gate_on(room):
    done = drill_model_upgrade(room, AGENT, now=room.work.now())
    assert not done.passed
    assert "no gate has run" in done.sentence
    assert room.controls.read().rollbacks == {}
    assert [one.status for one in item(room, "OWN-4", "rehearsed")] == [Status.BREACHED]
    now = room.work.now()
    gate = Evidence(
        kind="release.verdict", agent=AGENT, window_from=now, window_to=now, n=1, passed=True,
        source=Source(command="pilothouse gate"), recorded_at=now,
    )  # fmt: skip
    room.installation.ledger.add_evidence([gate])
    assert drill_model_upgrade(room, AGENT, now=room.work.now()).passed
    assert [one.status for one in item(room, "OWN-4", "rehearsed")] == [Status.HOLDS]


def test_a_game_day_is_passed_by_the_team_alone_and_only_with_the_right_names(room):
    said = {
        "completion-drop": "completion fell",
        "cost-burst": "cost rose",
        "lying-completion": "claims are false",
    }
    words = iter([*said.values(), "I do not know", "cost rose", "claims are false"])

    def play(lines, who="kim"):
        def wait():
            taken, end = set(), time.monotonic() + 60
            while len(taken) < 3 and time.monotonic() < end:
                # The oldest first: the words belong to the faults in the order in which they are planted.
                for one in sorted(room.incidents.incidents(active=True), key=lambda one: one.number):
                    if one.number not in taken and one.state is IncidentState.OPEN:
                        insist(room, one.number, IncidentState.ACKNOWLEDGED, who, end)
                        insist(room, one.number, IncidentState.RESOLVED, who, end, text=next(lines))
                        taken.add(one.number)
                time.sleep(0.05)

        thread = threading.Thread(target=wait)
        thread.start()
        done = drill_game_day(room, AGENT, wait_s=60, tell=lambda _text: None)
        thread.join()
        return done

    first = play(words)
    assert first.passed, first.sentence
    assert [one.status for one in item(room, "OWN-8", "")] == [Status.HOLDS]
    second = play(words)
    assert not second.passed
    third = play(iter(said.values()), who="dana")
    assert not third.passed, "the owner is not the team"
