# SPDX-License-Identifier: Apache-2.0
"""Every drill's fault is noticed and reaches people; a pager that is cut off fails loudly; the verdict sees it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from types import SimpleNamespace

import pytest
from control_rooms import AGENT, Hands, control_room_at, reach, run

from pilothouse.core.action.incident import IncidentState
from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Conflict, Denied, UsageError
from pilothouse.workflows.drills import faults as drills
from pilothouse.workflows.drills.every_fault import drill_all, drilled
from pilothouse.workflows.drills.faults import FAULTS, drill_fault
from pilothouse.workflows.drills.people_reached import drill_owner_powers, drill_page, drill_runbook
from pilothouse.workflows.drills.records import DrillResult
from pilothouse.workflows.drills.rehearsals import drill_drift, drill_game_day, drill_model_upgrade
from pilothouse.workflows.drills.waiting import Pace
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.incidents import incidents
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.incidents.incidents import move
from pilothouse.workflows.verdict.accept import accept_file


class Stage:
    """A clock that goes on while a drill waits, and people who act at each step of it."""

    def __init__(self):
        self.clock, self.acts = Hands(), []
        self.pace = Pace(monotonic=lambda: self.clock().timestamp(), sleep=self.sleep)

    def sleep(self, seconds):
        self.clock.move(seconds=seconds)
        for act in self.acts:
            act()


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def room(tmp_path, stage):
    with control_room_at(tmp_path, stage.clock) as opened:
        yield opened


def plant(room, stage, name, wait_s=8.0, told=None, **more):
    return drill_fault(
        room,
        AGENT,
        name,
        wait_s=wait_s,
        now=room.work.now(),
        tell=[].append if told is None else told.append,
        pace=stage.pace,
        **more,
    )


def item(room, requirement, part):
    """What the verdict says now of one part of a requirement."""
    charter = charter_of(room.installation.ledger.charter(AGENT))
    verdict = decide(charter, room.installation.ledger.evidence(AGENT), room.work.now())
    found = next(one for one in verdict.requirements if one.requirement == requirement)
    return [one for one in found.items if part in (one.scope.part or "") or part == ""]


def take(room, stage, person, steps=(IncidentState.ACKNOWLEDGED,), words=None):
    """Let a person at the pager take each incident as it opens, the oldest first."""
    words = iter(words or ())

    def act():
        for one in sorted(room.incidents.incidents(active=True), key=lambda one: one.number):
            if one.state is IncidentState.OPEN:
                who = person if isinstance(person, str) else person.get(one.level)
                text = next(words, "") if who else ""
                for state in steps if who else ():
                    move(room, one.number, state, person=who, text=text, now=room.work.now())

    stage.acts.append(act)


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"dead-pager"}))
def test_every_planted_fault_is_noticed_and_reaches_somebody(room, stage, web, name):
    reach(room, "sam", web.url)
    done = plant(room, stage, name, wait_s=1.0)
    assert done.passed, done.sentence
    assert web.titles[0].partition(": ")[2].startswith("DRILL: ")
    assert "sam was reached by chat after 0.0 s." in done.sentence
    assert "Nobody acknowledged it within 1 s." in done.sentence
    incident = room.incidents.incident(done.incidents[0])
    assert incident.drill == name
    assert room.controls.read().refusal_of(AGENT) is None, "a drill never pauses the agent"
    assert not room.incidents.incidents(active=True), "a drill ends what it began"
    with pytest.raises(Conflict, match="was a drill that is over: nothing has to be done"):
        move(room, incident.number, IncidentState.ACKNOWLEDGED, person="sam", text="", now=room.work.now())


def test_all_drills_in_one_go_are_noticed_and_each_opens_its_own_incident(room, stage, web):
    reach(room, "sam", web.url)
    told = []
    met = DrillResult(name="model-timeout", passed=True, sentence="met")
    found = drill_all(
        room, AGENT, wait_s=0.5, tell=told.append, pace=stage.pace, outages=[("model-timeout", lambda: met)]
    )
    assert [one.name for one in found] == [
        "completion-drop",
        "cost-burst",
        "lying-completion",
        "quality-drop",
        "drift",
        "model-timeout",
        "dead-pager",
    ]
    assert all(one.passed for one in found), [one.sentence for one in found]
    numbers = [number for one in found for number in one.incidents]
    assert len(set(numbers)) == len(numbers) == 5
    assert not room.incidents.incidents(active=True)
    assert drilled(found).startswith("7 of 7 drills passed")


def test_a_drill_that_cannot_be_held_and_one_that_nobody_hears_are_failures(room, stage):
    def refuse():
        raise UsageError("the gateway knows no provider", remedy="`pilothouse provider add`")

    found = drill_all(
        room,
        AGENT,
        wait_s=0.5,
        tell=lambda _text: None,
        pace=stage.pace,
        outages=[("model-timeout", refuse)],
    )
    said = {one.name: one for one in found}
    assert said["model-timeout"].sentence.startswith("could not be held: the gateway knows no provider")
    assert not said["completion-drop"].passed, "nobody has an address"
    assert said["dead-pager"].passed
    assert "not completion-drop, " in drilled(found)


def test_a_drill_writes_what_the_verdict_asks_for(room, stage, web):
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.NO_EVIDENCE]
    reach(room, "sam", web.url)
    take(room, stage, "sam")
    done = plant(room, stage, "completion-drop")
    assert "Acknowledged by sam after 0.2 s." in done.sentence
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.HOLDS]
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-8", "delay")), (
        "nobody knows what the detector needs at this agent's volume"
    )
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-1", "rate")), (
        "a shadow is no production"
    )


def test_an_alert_that_comes_later_than_promised_breaches_and_one_without_a_promise_proves_nothing(
    room, stage, web, monkeypatch
):
    reach(room, "sam", web.url)
    plant(room, stage, "cost-burst", wait_s=0.5)
    assert all(one.status is Status.NO_EVIDENCE for one in item(room, "MON-8", "delay")), (
        "cost promises no time"
    )
    monkeypatch.setattr(drills, "derived_delay", lambda *_: 7.0)
    plant(room, stage, "completion-drop", wait_s=0.5)
    assert Status.HOLDS in {one.status for one in item(room, "MON-8", "delay")}
    slow = itertools.count(step=timedelta(days=22).total_seconds())
    stage.pace = Pace(monotonic=lambda: next(slow), sleep=stage.sleep)
    plant(room, stage, "completion-drop", wait_s=0.5)
    assert Status.BREACHED in {one.status for one in item(room, "MON-8", "delay")}


def test_a_drill_shows_the_lead_of_the_alerts_while_no_incident_can(room, stage, web, monkeypatch):
    """An agent without an incident had no way to MON-8 but a waiver, and the step it was given moved nothing."""
    plant(room, stage, "quality-drop", wait_s=0.5)
    assert [one.status for one in item(room, "MON-8", "lead")] == [Status.NO_EVIDENCE], "nobody was reached"
    reach(room, "sam", web.url)
    lately = [
        SimpleNamespace(state=IncidentState.REVIEWED),
        SimpleNamespace(state=IncidentState.RESOLVED, number=7, name="INC-7"),
    ]
    told = []
    for known in (lately, lately[:1]):
        monkeypatch.setattr(incidents, "_lately", lambda *_, _known=known: _known)
        plant(room, stage, "quality-drop", wait_s=0.5, told=told)
    assert [one.status for one in item(room, "MON-8", "lead")] == [Status.NO_EVIDENCE], "incidents say it"
    assert [one for one in told if "MON-8" in one] == [
        "MON-8 asks for the review of INC-7: `pilothouse incident review 7`."
    ]
    monkeypatch.undo()
    plant(room, stage, "quality-drop", wait_s=0.5)
    (lead,) = item(room, "MON-8", "lead")
    assert (lead.status, "no incident in 90 days" in lead.sentence) == (Status.HOLDS, True)


def test_a_drill_that_reaches_nobody_fails_and_the_verdict_says_so(room, stage):
    done = plant(room, stage, "completion-drop", wait_s=0.5)
    assert not done.passed
    assert "nobody was reached" in done.sentence
    assert [one.status for one in item(room, "MON-1", "drill")] == [Status.BREACHED]


def test_a_pager_that_is_cut_off_fails_loudly_on_every_level(room, stage, web):
    for person in ("sam", "kim", "dana", "vp"):
        reach(room, person, web.url)
    done = plant(room, stage, "dead-pager")
    assert done.passed, done.sentence
    assert web.received == []
    loud = [one.text for one in room.incidents.events(done.incidents[0]) if one.kind == "loud"]
    assert any("the pager is cut off by the drill" in text for text in loud)
    assert any("Nobody is called any more" in text for text in loud)


def test_a_charter_without_an_alert_for_it_fails_its_drill(room, stage, web, monkeypatch):
    monkeypatch.setattr("pilothouse.workflows.incidents.alerts.rule_for", lambda *_: None)
    done = plant(room, stage, "cost-burst")
    assert not done.passed
    assert "no alert rule of the charter watches cost_per_task" in done.sentence


def test_the_page_drill_proves_the_path_level_by_level(room, stage, web):
    for person in ("sam", "kim", "dana", "vp", "lee"):
        reach(room, person, web.url)
    take(room, stage, {1: "kim", 2: "dana", 3: "vp"})
    done = drill_page(room, AGENT, wait_s=15, tell=lambda _text: None, pace=stage.pace)
    assert done.passed, done.sentence
    assert done.sentence == "3 levels answered in time."
    assert [one.status for one in item(room, "OWN-3", "")] == [Status.HOLDS]
    assert {one.status for one in item(room, "OWN-2", "reached")} == {Status.HOLDS}
    assert [one.status for one in item(room, "OWN-7", "")] == [Status.HOLDS]


@pytest.mark.parametrize(
    "case",
    [
        ({"po_invoice": 192.0}, Status.HOLDS, "need 192 minutes a day of the 240 that reviewers have"),
        ({"po_invoice": 192.1}, Status.BREACHED, "at most 80 % may be planned"),
        (None, Status.NO_EVIDENCE, "leaves open how many minutes reviews need or have"),
    ],
)
def test_the_roster_must_have_the_minutes_that_reviews_need(room, stage, web, monkeypatch, case):
    minutes, status, said = case
    monkeypatch.setattr("pilothouse.workflows.drills.people_reached.review_minutes", lambda _: minutes)
    for person in ("sam", "kim", "dana", "vp", "lee"):
        reach(room, person, web.url)
    take(room, stage, {1: "kim", 2: "dana", 3: "vp"})
    assert drill_page(room, AGENT, wait_s=15, tell=lambda _text: None, pace=stage.pace).passed
    assert [one.status for one in item(room, "OWN-7", "")] == [status]
    (roster,) = room.installation.ledger.evidence(AGENT, kinds=["roster"])
    assert said in roster.detail


def test_a_team_that_answers_drills_and_lets_incidents_wait_does_not_suffice(room, stage, web):
    for person in ("sam", "kim", "dana", "vp", "lee"):
        reach(room, person, web.url)

    def drilled():
        take(room, stage, {1: "kim", 2: "dana", 3: "vp"})
        assert drill_page(room, AGENT, wait_s=15, tell=lambda _text: None, pace=stage.pace).passed
        return [one.status for one in item(room, "OWN-7", "")]

    for metric in ("completion", "cost_per_task", "discrepancy", "quality"):
        slept = raise_alert(room, Firing(agent=AGENT, metric=metric, sentence="It is off."), room.work.now())
        run(room)
        stage.clock.move(minutes=20)
        run(room)
        number = slept.incident.number
        move(room, number, IncidentState.ACKNOWLEDGED, person="dana", text="", now=room.work.now())
        stage.clock.move(hours=1)
    assert drilled() == [Status.BREACHED]
    assert "Of 7 incidents and calls of drills in 90 days, 3 answered in time" in (
        room.installation.ledger.evidence(AGENT, kinds=["roster"])[-1].detail
    )
    stage.clock.move(hours=1)
    assert drilled() == [Status.HOLDS], "one more drill shows that the next one does not wait"


def test_a_level_that_stays_silent_breaches_the_path(room, stage, web):
    reach(room, "sam", web.url)
    take(room, stage, {1: "sam"})
    done = drill_page(room, AGENT, wait_s=1.5, tell=lambda _text: None, pace=stage.pace)
    assert not done.passed
    assert "No answer in time from level 2, 3" in done.sentence
    assert "Not reached: dana" in done.sentence
    assert "`pilothouse contact list` shows who has an address" in done.sentence
    assert [one.status for one in item(room, "OWN-3", "")] == [Status.BREACHED]
    assert Status.BREACHED in {one.status for one in item(room, "OWN-2", "reached")}


def test_a_runbook_is_rehearsed_to_its_end(room, stage, web):
    reach(room, "sam", web.url)
    with pytest.raises(UsageError, match="names no runbook"):
        drill_runbook(
            room, AGENT, "runbooks/none.md", person="sam", wait_s=0, tell=lambda _text: None, pace=stage.pace
        )
    take(room, stage, "sam", steps=(IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED))
    done = drill_runbook(
        room, AGENT, "runbooks/quality.md", person="sam", wait_s=10, tell=lambda _text: None, pace=stage.pace
    )
    assert done.passed, done.sentence
    held = [one for one in item(room, "MON-5", "drill") if one.status is Status.HOLDS]
    assert ["runbooks/quality.md" in (one.scope.part or "") for one in held] == [True]


def test_the_owner_alone_shows_the_powers(room):
    with pytest.raises(Denied, match="sam is not the owner"):
        drill_owner_powers(room, AGENT, person="sam", now=room.work.now())
    with pytest.raises(Denied, match=f"only the owner of {AGENT} holds this drill, and nobody said"):
        drill_owner_powers(room, AGENT, person="", now=room.work.now())
    done = drill_owner_powers(room, AGENT, person="dana", now=room.work.now())
    assert done.passed, done.sentence
    assert [one.status for one in item(room, "OWN-1", "powers")] == [Status.HOLDS]
    assert (room.controls.read().pauses, room.controls.read().rollbacks) == ({}, {})


def in_force(room, tmp_path, old, new):
    """Put the charter into force with one text replaced."""
    path = tmp_path / "repository" / "ap-invoice-triage.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    accept_file(room.installation.ledger, path, room.work.now(), actor="test")


def test_an_owner_whose_role_takes_powers_away_does_not_show_them(room, tmp_path):
    """The drill paused in the owner's name whatever the charter let the owner do, and OWN-1 held."""
    in_force(room, tmp_path, "substitute: lee}", "substitute: lee, role: approver}")
    done = drill_owner_powers(room, AGENT, person="dana", now=room.work.now())
    assert not done.passed
    assert done.sentence.startswith("dana may not operate: `people.dana.role`")
    assert [one.status for one in item(room, "OWN-1", "powers")] == [Status.BREACHED]


def test_a_runbook_that_no_alert_names_can_be_rehearsed(room, stage, web, tmp_path):
    """MON-5 asks for the drill of every runbook that the charter names, and this one was refused."""
    (tmp_path / "repository" / "runbooks" / "rare.md").write_text("1. Look.", encoding="utf-8")
    rare = "runbooks: {runbooks/rare.md: {reviewed_by: [sam], drill: 90d}, "
    in_force(room, tmp_path, "runbooks: {", rare)
    reach(room, "sam", web.url)
    take(room, stage, "sam", steps=(IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED))
    done = drill_runbook(
        room, AGENT, "runbooks/rare.md", person="sam", wait_s=10, tell=lambda _text: None, pace=stage.pace
    )
    assert done.passed, done.sentence
    held = [one for one in item(room, "MON-5", "drill") if one.status is Status.HOLDS]
    assert ["runbooks/rare.md" in (one.scope.part or "") for one in held] == [True]


def test_a_drill_ends_its_incident_when_people_took_it_when_nobody_did_and_when_it_is_stopped(
    room, stage, web
):
    reach(room, "sam", web.url)
    take(room, stage, "sam")
    (number,) = plant(room, stage, "completion-drop").incidents
    assert room.incidents.incident(number).acknowledged_by == "sam"
    stage.acts.clear()
    plant(room, stage, "completion-drop", wait_s=0.5)
    silent = drill_runbook(
        room, AGENT, "runbooks/quality.md", person="sam", wait_s=0.5, tell=lambda _text: None, pace=stage.pace
    )
    assert silent.sentence == "nobody followed runbooks/quality.md to its end within 0.5 s"
    drill_game_day(room, AGENT, wait_s=0.9, tell=lambda _text: None, pace=stage.pace)

    def stop():
        raise KeyboardInterrupt

    stage.acts.append(stop)
    with pytest.raises(KeyboardInterrupt):
        plant(room, stage, "cost-burst")
    with pytest.raises(KeyboardInterrupt):
        drill_runbook(
            room, AGENT, "runbooks/cost.md", person="sam", wait_s=9, tell=lambda _: None, pace=stage.pace
        )
    with pytest.raises(KeyboardInterrupt):
        drill_game_day(room, AGENT, wait_s=9, tell=lambda _: None, pace=stage.pace)
    with pytest.raises(KeyboardInterrupt):
        drill_page(room, AGENT, wait_s=9, tell=lambda _: None, pace=stage.pace)
    assert len(room.incidents.incidents()) == 12
    for one in room.incidents.incidents():
        assert one.state is IncidentState.RESOLVED, one.title
        assert room.incidents.events(one.number)[-1].text == "The drill is over."


def test_a_drill_that_is_stopped_as_soon_as_it_is_told_ends_its_incident_too(room, stage, web):
    reach(room, "sam", web.url)

    def stop(_text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drill_page(room, AGENT, wait_s=9, tell=stop, pace=stage.pace)
    with pytest.raises(KeyboardInterrupt):
        drill_game_day(room, AGENT, wait_s=9, tell=stop, pace=stage.pace)
    with pytest.raises(KeyboardInterrupt):
        drill_runbook(room, AGENT, "runbooks/cost.md", person="sam", wait_s=9, tell=stop, pace=stage.pace)
    with pytest.raises(KeyboardInterrupt):
        drill_fault(room, AGENT, "cost-burst", wait_s=9, now=room.work.now(), tell=stop, pace=stage.pace)
    assert [one.state for one in room.incidents.incidents()] == [IncidentState.RESOLVED] * 4


def test_a_drill_is_ended_even_when_somebody_takes_it_at_that_very_moment(room, stage, web, monkeypatch):
    reach(room, "sam", web.url)
    drilled_now = room.incidents.change

    def taken_first(change, lease=None):
        if change.events[-1].text == "The drill is over.":
            monkeypatch.setattr(room.incidents, "change", drilled_now)
            move(room, 1, IncidentState.ACKNOWLEDGED, person="sam", text="", now=room.work.now())
        return drilled_now(change, lease)

    monkeypatch.setattr(room.incidents, "change", taken_first)
    plant(room, stage, "completion-drop", wait_s=0.5)
    ended = room.incidents.incident(1)
    assert (ended.state, ended.acknowledged_by) == (IncidentState.RESOLVED, "sam")


def test_no_drill_is_left_out():
    assert set(FAULTS) == {"completion-drop", "cost-burst", "lying-completion", "quality-drop", "dead-pager"}


def test_a_step_of_the_runbook_is_waited_for_and_told(room, stage, web):
    reach(room, "sam", web.url)
    done = plant(room, stage, "cost-burst", wait_s=1.0, to_step=True)
    assert "No step of runbooks/cost.md was done within 1 s." in done.sentence
    take(
        room,
        stage,
        "sam",
        steps=(IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED),
        words=["budget lowered"],
    )
    done = plant(room, stage, "cost-burst", wait_s=8.0, to_step=True)
    assert "A step of runbooks/cost.md was done: sam (" in done.sentence
    assert "stopped the harm: budget lowered after 0.2 s." in done.sentence


def test_a_planted_change_of_inputs_is_noticed_and_none_is_not(room):
    done = drill_drift(room, AGENT, now=room.work.now())
    assert done.passed, done.sentence


def test_a_model_update_is_rehearsed_from_the_gate_on(room, stage):
    for person, said in (("", "nobody said who approves"), ("kim", "kim does not approve")):
        with pytest.raises(Denied, match=said) as told:
            drill_model_upgrade(room, AGENT, person=person, now=room.work.now())
        assert "--as dana" in told.value.remedy
    done = drill_model_upgrade(room, AGENT, person="dana", now=room.work.now())
    assert not done.passed
    assert "no version that stands has passed the gate" in done.sentence
    assert room.controls.read().rollbacks == {}
    assert [one.status for one in item(room, "OWN-4", "rehearsed")] == [Status.BREACHED]
    for version, passed in (("a" * 64, False), ("b" * 64, True), ("b" * 64, False), ("c" * 64, True)):
        stage.clock.move(minutes=1)
        now = room.work.now()
        gate = Evidence(
            kind="release.verdict", agent=AGENT, window_from=now, window_to=now, n=1, passed=passed,
            binds=Binding(version=version), source=Source(command="pilothouse gate"), recorded_at=now,
        )  # fmt: skip
        room.installation.ledger.add_evidence([gate])
        done = drill_model_upgrade(room, AGENT, person="dana", now=room.work.now())
        # What was refused, or let in and taken back, is nothing that anybody may approve.
        assert done.passed is passed, done.sentence
    assert "version ccccccc passed the gate" in done.sentence
    assert "; dana approved; " in done.sentence
    assert [one.status for one in item(room, "OWN-4", "rehearsed")] == [Status.HOLDS]


def test_a_game_day_is_passed_by_the_team_alone_and_only_with_the_right_names(room, stage):
    said = {
        "completion-drop": "completion fell",
        "cost-burst": "cost rose",
        "lying-completion": "claims are false",
    }
    ended = (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED)

    def play(words, who="kim"):
        stage.acts.clear()
        take(room, stage, who, steps=ended, words=words)
        return drill_game_day(room, AGENT, wait_s=60, tell=lambda _text: None, pace=stage.pace)

    first = play(said.values())
    assert first.passed, first.sentence
    assert [one.status for one in item(room, "OWN-8", "")] == [Status.HOLDS]
    assert not play(["I do not know", "cost rose", "claims are false"]).passed
    assert not play(said.values(), who="dana").passed, "the owner is not the team"
