# SPDX-License-Identifier: Apache-2.0
"""Evidence turns bad, a tick of the server runs, and a control is in force that page and command line show."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from unittest.mock import patch

import pytest
from control_rooms import AGENT, NOW, Hands, control_room_at, run
from evidence_made import V1, V2, everything_holds, replaced
from rich.console import Console

from pilothouse.core.action.demotion import ActState, Move
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove
from pilothouse.core.verdict.readiness import decide, verdict_digest, verdict_document
from pilothouse.ports.controls import Rollback
from pilothouse.reports.terminal_rollout import render_rollout
from pilothouse.testing import example_task
from pilothouse.workflows.controls.controls import end_rollback, resume_agent
from pilothouse.workflows.ground.act_log import shown_acts
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.phase_log import MOVED, phase_at
from pilothouse.workflows.phases import demote
from pilothouse.workflows.phases.demote import LEASE_NAME, act_on_verdicts
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.history import freeze_changes
from pilothouse.workflows.verdict.stability import keep_days, read_days

DAY = timedelta(days=1)


class Site:
    """An agent in a phase, of which everything holds until a test says otherwise."""

    def __init__(self, room, clock, phase):
        self.room, self.clock = room, clock
        self.ledger = room.installation.ledger
        self.charter = charter_in_force(self.ledger, AGENT)
        self.records, self.version = [], V1
        entered = PhaseEvent(
            move=PhaseMove.ENTERED, phase=phase, at=NOW - 9 * DAY, by=("dana",), reason="held"
        )
        self.ledger.record(
            kind=MOVED, agent=AGENT, at=entered.at, actor="dana", document=entered.model_dump_json()
        )

    def has(self, *bad, version=V1):
        """Let there be records of all that holds, some of them replaced; those of a gated version are kept."""
        self.version = version
        self.records = everything_holds(self.charter, self.clock(), version=version)
        self.ledger.add_evidence([one for one in self.records if one.kind == "release.verdict"])
        for kind, fields in bad:
            self.records = replaced(self.records, kind, **fields)

    def tick(self):
        """Freeze the verdict as the assessing tick does, then do what it makes necessary."""
        now = self.clock()
        verdict = decide(self.charter, self.records, now, phase=self.phase, version=self.version)
        self.ledger.save_verdict(
            agent=AGENT,
            at=now,
            status=verdict.status.value,
            document=verdict_document(verdict),
            digest=verdict_digest(verdict),
        )
        return act_on_verdicts(self.room, now)

    @property
    def phase(self):
        return phase_at(self.ledger, AGENT, self.clock()).phase

    @property
    def acts(self):
        return {one.act.requirement: one for one in shown_acts(self.ledger, AGENT)}


@pytest.fixture
def site(tmp_path):
    clock = Hands()
    with control_room_at(tmp_path, clock) as room:
        yield Site(room, clock, "2")


LYING = ("discrepancy", {"task_type": "po_invoice", "n": 5_000, "good": 4_000})
PAID_TWICE = ("critical", {"task_type": "po_invoice", "n": 5_000, "good": 4_999})
UNDECLARED = ("hosts_observed", {"n": 5_000, "good": 4_000})


def test_nothing_is_done_to_an_agent_that_holds(site):
    site.has()
    assert site.tick() == 0
    assert not site.acts


def test_evidence_turns_bad_and_after_the_two_ticks_of_the_server_a_control_is_in_force_and_shown(site):
    """The whole way: stored records, the assessing tick, the acting tick, gateway's answer, page, terminal, pager."""
    at = int((NOW - 8 * DAY).timestamp()) * 10**9
    task = example_task(start_ns=at, end_ns=at + 10**9, version_digest=V1, task_type="other")
    site.room.installation.lake.add([task])
    site.has(PAID_TWICE)
    site.ledger.add_evidence(site.records)
    freeze_changes(site.room.installation, site.clock())
    assert act_on_verdicts(site.room, site.clock())
    assert act_on_verdicts(site.room, site.clock()) == 0
    refusal = site.room.controls.read().refusal_of(AGENT, version=V1)
    assert refusal is not None
    assert refusal.startswith(f"{AGENT} is paused since 18 Nov 2026, 10:00 UTC by verdict: ")

    page = show_rollout(
        site.room.installation, assess(site.room.installation, AGENT, site.clock(), freeze=False)
    )
    (act,) = page.acts
    assert (act.what, act.is_done, act.command) == ("Paused", True, f"pilothouse resume {AGENT}")
    console = Console(width=100, record=True, file=io.StringIO())
    render_rollout(page, console)
    assert f"Paused · MON-2 ({act.incident})" in console.export_text()

    run(site.room)
    number = int(act.incident.partition("-")[2])
    lines = site.room.incidents.events(number)
    assert any("is paused because of MON-2" in line.text for line in lines if line.actor == "verdict")
    assert any("dana" in line.text for line in lines if line.actor == "pager")


def test_who_resumes_a_paused_agent_is_not_overruled_for_the_same_version(site):
    site.has(PAID_TWICE)
    site.tick()
    site.clock.move(minutes=5)
    resume_agent(site.room, AGENT, tool=None, reason="checked by hand", actor="dana", now=site.clock())
    assert site.tick() == 0
    assert site.room.controls.read().pause_of(AGENT) is None
    assert (site.acts["MON-2"].lifted_by, site.acts["MON-2"].lifted_at) == ("dana", site.clock())


def test_a_version_that_lies_gives_way_to_the_one_before_and_then_the_phase_falls(site):
    site.has()
    site.clock.move(minutes=10)
    site.has(LYING, version=V2)
    assert site.tick()
    rollback = site.room.controls.read().rollback_of(AGENT)
    assert (rollback.to_version, rollback.from_version, rollback.actor) == (V1, V2, "verdict")
    assert site.room.controls.read().refusal_of(AGENT, version=V2)
    assert site.room.controls.read().refusal_of(AGENT, version=V1) is None
    assert (site.tick(), site.phase) == (0, "2")

    site.clock.move(minutes=10)
    site.has(LYING)
    assert site.tick()
    assert site.phase == "1"
    assert (site.acts["MON-7"].act.move, site.acts["MON-7"].act.phase) == (Move.DEMOTE, "1")


def test_a_rollback_that_a_person_ended_is_not_repeated(site):
    site.has()
    site.has(LYING, version=V2)
    site.tick()
    site.clock.move(minutes=1)
    end_rollback(site.room, AGENT, reason="cured upstream", actor="dana", now=site.clock())
    assert site.tick() == 0


def test_an_uncured_breach_blocks_then_costs_the_phase_and_the_stable_days_and_a_cure_ends_it(site):
    site.has(UNDECLARED)
    assert site.tick()
    act = site.acts["INT-1"].act
    assert (act.move, act.state, act.incident, site.phase) == (Move.BLOCK_PROMOTION, ActState.WAITS, "", "2")
    site.clock.move(days=2)
    site.has(UNDECLARED)
    assert site.tick()
    assert site.phase == "1"
    site.clock.move(hours=1)
    site.has()
    assert site.tick()
    assert (dict(site.acts), site.phase) == ({}, "1")  # what was lost is won back at the gate, not by waiting
    site.clock.move(days=1)
    keep_days(site.room.installation, site.clock())
    reasons = {reset.reason for day in read_days(site.ledger, AGENT) for reset in day.resets}
    assert "rollback" in reasons


def test_many_lapses_at_once_are_one_fall_and_one_page(site):
    site.has()
    site.clock.move(days=9)
    assert site.tick()
    assert site.phase == "1"
    fell = [one.act for one in site.acts.values() if one.act.move is Move.DEMOTE]
    assert len(fell) > 1
    (incident,) = {act.incident for act in fell}
    (job,) = [job for job in site.room.work.jobs(incident) if "/acted/" in job.key]
    assert json.loads(job.document)["title"].startswith(f"{AGENT} is in phase 1 from now on")
    assert json.loads(job.document)["person"] == "dana"


def test_one_process_at_a_time_acts(site):
    site.has(PAID_TWICE)
    assert site.room.work.acquire(LEASE_NAME, "another")
    assert site.tick() == 0
    site.clock.move(seconds=11)
    assert site.tick() > 0


def test_a_verdict_of_another_phase_is_waited_out(site):
    site.has(PAID_TWICE)
    moved = PhaseEvent(move=PhaseMove.ROLLED_BACK, phase="1", at=site.clock(), by=("sam",), reason="by hand")
    with patch.object(Site, "phase", "2"):
        site.ledger.record(
            kind=MOVED, agent=AGENT, at=moved.at, actor="sam", document=moved.model_dump_json()
        )
        assert site.tick() == 0
    assert site.tick() > 0


class Killed(BaseException):
    """The process ends here: nothing after it happens."""


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ("write_act", 0),
        ("write_act", 3),
        ("demote_phase", 0),
        ("tell_of", 0),
        *(("write_act", n) for n in range(6, 12)),
    ],
)
def test_a_kill_between_two_writes_of_a_fall_costs_no_second_phase_and_calls_the_owner_once(
    site, step, calls
):
    """Six requirements lapse at once: six rows that it begins, the fall, a page, six rows that it is done."""
    site.has()
    site.clock.move(days=9)
    left = [calls]
    whole = getattr(demote, step)

    def killed_after(*args, **named):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return whole(*args, **named)

    with patch.object(demote, step, killed_after), pytest.raises(Killed):
        site.tick()
    for _ in range(4):
        site.clock.move(minutes=5)
        site.tick()
    assert site.phase == "1"
    pages = [job for job in site.room.work.jobs("INC-1") if "/acted/" in job.key]
    assert [json.loads(job.document)["title"] for job in pages] == [
        f"{AGENT} is in phase 1 from now on (INT-4)"
    ]
    assert [one.name for one in site.room.incidents.incidents()] == ["INC-1"]
    fell = [one.act for one in site.acts.values() if one.act.move is Move.DEMOTE]
    assert {(act.state, act.incident) for act in fell} == {(ActState.DONE, "INC-1")}
    assert len(fell) == 6


def test_a_kill_after_a_pause_tells_of_it_although_the_next_verdict_asks_for_none(site):
    site.has(PAID_TWICE)
    with patch.object(demote, "tell_of", side_effect=Killed), pytest.raises(Killed):
        site.tick()
    site.clock.move(minutes=5)
    site.has()
    site.tick()
    assert any(
        "is paused because of MON-2" in line.text
        for line in site.room.incidents.events(1)
        if line.kind == "loud"
    )


def test_a_kill_after_a_rollback_tells_of_it(site):
    site.has()
    site.clock.move(minutes=1)  # one version passes the gate after the other
    site.has(LYING, version=V2)
    with patch.object(demote, "tell_of", side_effect=Killed), pytest.raises(Killed):
        site.tick()
    site.clock.move(minutes=5)
    assert site.tick()
    assert any(f"is rolled back to {V1}" in line.text for line in site.room.incidents.events(1))


def test_evidence_that_lapses_half_an_hour_later_costs_no_second_phase(site):
    first, second = site.clock() - timedelta(days=21), site.clock() - timedelta(days=13, hours=23, minutes=30)
    site.has(
        ("unknown_task_type", {"window_from": first, "window_to": first}),
        ("output_schema", {"window_from": second, "window_to": second}),
    )
    for _ in range(12):
        site.tick()
        site.clock.move(minutes=10)
    assert site.phase == "1"
    act = site.acts["EVAL-8"].act
    assert (act.state, act.due_at) == (ActState.WAITS, second + 37 * DAY)
    assert act.sentence.endswith("Phase 1 is kept until 11 Dec 2026, then the pilot.")


@pytest.mark.parametrize("gated", [(), (V1,)])
def test_a_rollback_that_a_person_made_stands_whatever_a_verdict_would_have_chosen(site, gated):
    """Also where the version was only seen and never gated, so that a verdict could have chosen none."""
    for version in gated:
        site.has(version=version)
    site.clock.move(minutes=10)
    site.has(LYING, version=V2)
    by_hand = Rollback(
        agent=AGENT, to_version="seen", from_version=V2, reason="knew it", actor="dana", at=site.clock()
    )
    site.room.controls.roll_back(by_hand)
    assert site.tick()
    assert site.room.controls.read().rollback_of(AGENT) == by_hand
    act = site.acts["MON-7"].act
    assert (act.move, act.state) == (Move.ROLL_BACK, ActState.DONE)
    assert any("is rolled back to seen" in line.text for line in site.room.incidents.events(1))
