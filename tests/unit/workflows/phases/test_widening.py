# SPDX-License-Identifier: Apache-2.0
"""What comes into the scope: asked for before the charter has it, let in by the owner, counted apart, joined in phase 3."""

from __future__ import annotations

import io
import json
import shutil
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from control_rooms import AGENT, NOW, Hands, control_room_at
from evidence_made import V1, everything_holds, replaced
from rich.console import Console

from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.verdict.addition import AdditionEvent, AdditionKind
from pilothouse.core.verdict.phases import Answer, PhaseEvent, PhaseMove
from pilothouse.core.verdict.stability import DayRecord, DayState
from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import Conflict, UnknownName, UsageError
from pilothouse.reports.terminal_rollout import render_rollout
from pilothouse.settings import load_settings
from pilothouse.testing import MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import MOVED, additions_of, phase_at
from pilothouse.workflows.people.signing import waive
from pilothouse.workflows.phases.additions import find_addition, write_move
from pilothouse.workflows.phases.demote import act_on_verdicts
from pilothouse.workflows.phases.phases import approve_phase, request_phase, roll_back_phase
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.phases.widening import ask_to_widen
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.history import freeze_changes
from pilothouse.workflows.verdict.stability import DAY, keep_days, read_clock

CHARTERS = Path(__file__).parents[3] / "golden" / "charters"
DAYS = timedelta(days=1)
REFUNDS = (AdditionKind.TASK_TYPE, "refunds")
NEW_TYPE = "  refunds: {share: 0.02, quality: {min: 0.90}, sampling: {rate: 1.0}}\n"


class Site:
    """An agent in phase 3 of which everything holds, with the volume that its charter names."""

    def __init__(self, place, clock, repository):
        self.place, self.clock, self.ledger = place, clock, place.ledger
        self.file = repository / "ap-invoice-triage.yaml"
        self.edit("per_day: 1200", "per_day: 1")
        entered = PhaseEvent(
            move=PhaseMove.ENTERED, phase="3", at=NOW - 100 * DAYS, by=("dana",), reason="held"
        )
        self.ledger.record(
            kind=MOVED, agent=AGENT, at=entered.at, actor="dana", document=entered.model_dump_json()
        )
        self.works()

    def edit(self, old, new):
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.file.write_text(text.replace(old, new), encoding="utf-8")
        accept_file(self.ledger, self.file, self.clock(), actor="test")

    def declare(self):
        """Write into the charter what was accepted."""
        self.edit("po_invoice:     {share: 0.80}\n", "po_invoice:     {share: 0.78}\n" + NEW_TYPE)

    def write_days(self):
        """Write 95 stable days down."""
        for number in range(1, 96):
            day = (NOW - number * DAYS).date()
            row = DayRecord(day=day, tasks=2, volume_share=1.0, complete_share=1.0)
            document = row.model_dump_json()
            self.ledger.record(kind=DAY, agent=AGENT, at=self.clock(), actor="test", document=document)

    def works(self, *bad, without=()):
        """Let there be tasks of the weeks before the last one, and records of all that holds, some of them replaced."""
        now = self.clock()
        starts = [unix_ns(now - 8 * DAYS - number * DAYS / 3) for number in range(58)]
        self.place.lake.add(
            example_task(
                trace_id=f"{at:032x}", start_ns=at, end_ns=at + 10**9, version_digest=V1, task_type="other"
            )
            for at in starts
        )
        records = everything_holds(charter_in_force(self.ledger, AGENT), now, phase="3")
        for kind, fields in bad:
            records = replaced(records, kind, **fields)
        self.ledger.add_evidence([one for one in records if one.scope.task_type not in without])

    def ask(self, actor="dana", what=REFUNDS):
        return ask_to_widen(self.place, AGENT, *what, self.clock(), actor=actor)

    def judged(self):
        return assess(self.place, AGENT, self.clock(), freeze=False)

    @property
    def refunds(self):
        return find_addition(self.ledger, AGENT, *REFUNDS)

    @property
    def phase(self):
        return phase_at(self.ledger, AGENT, self.clock()).phase

    def enter(self, phase):
        """Look at the gate of what came in, and let its approvers say yes."""
        found = request_phase(self.place, AGENT, phase, self.clock(), actor="sam", addition=self.refunds)
        assert found.answer is Answer.ELIGIBLE, found
        for person in found.approvers:
            approve_phase(self.place, AGENT, person, self.clock(), addition=self.refunds)


@pytest.fixture
def site(tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(CHARTERS, repository)
    clock = Hands()
    place = Installation(
        settings=load_settings({}, home=tmp_path), clock=clock, lake=MemoryLake(), ledger=MemoryLedger()
    )
    made = Site(place, clock, repository)
    made.write_days()
    return made


def test_whoever_asks_is_told_and_the_owner_lets_it_in(site):
    asked = site.ask("sam")
    assert asked.answer.allowed, asked.answer.sentence
    assert (asked.is_open, asked.waits_for) == (False, ("dana",))
    assert additions_of(site.ledger, AGENT) == ()
    let_in = site.ask("lee")
    assert (let_in.is_open, let_in.waits_for) == (True, ()), "lee stands in for the owner"
    (row,) = site.ledger.decisions(AGENT, kind="phase.moved.added")
    assert json.loads(row.document)["move"]["by"] == ["dana"]
    assert site.refunds.state.phase == "1"
    assert site.phase == "3"
    with pytest.raises(UsageError, match="accepted already"):
        site.ask()


def test_what_is_in_the_scope_already_cannot_be_taken_out_of_the_verdict_by_asking(site):
    with pytest.raises(UsageError, match="in its scope already"):
        site.ask(what=(AdditionKind.TASK_TYPE, "credit_note"))
    with pytest.raises(UnknownName, match="refunds"):
        find_addition(site.ledger, AGENT, *REFUNDS)


def test_until_the_charter_speaks_of_it_nothing_is_known_and_no_look_is_spent(site):
    site.ask()
    found = site.judged()
    (one,) = found.verdict.additions
    assert (one.label, one.phase, one.status) == ("task type refunds", "1", Status.NO_EVIDENCE)
    assert any(note.startswith("Counts apart: task type refunds, in phase 1 since 18 Nov 2026") for note in found.verdict.notes)  # fmt: skip
    site.clock.move(weeks=5)
    answer = request_phase(site.place, AGENT, "2", site.clock(), actor="sam", addition=site.refunds)
    assert (answer.answer, answer.look) == (Answer.REFUSED, 0)
    assert "does not speak of task type refunds yet" in answer.sentence


def test_it_goes_through_the_phases_by_itself_and_the_old_scope_stays_where_it_is(site):
    site.ask()
    site.declare()
    site.clock.move(days=1)
    keep_days(site.place, site.clock())
    stable = read_clock(site.ledger, charter_in_force(site.ledger, AGENT), site.clock())
    assert not any("refunds was widened" in cell.text for cell in stable.strip), (
        "it was accepted, so it resets nothing"
    )
    site.clock.move(days=27)
    site.works(without={"refunds"})
    waits = request_phase(site.place, AGENT, "2", site.clock(), actor="sam", addition=site.refunds)
    assert waits.answer is Answer.NOT_YET, "nothing about refunds is measured"
    assert site.judged().verdict.status is not Status.NO_EVIDENCE
    page = show_rollout(site.place, site.judged())
    (row,) = page.additions
    assert (row.label, row.phase, row.word) == ("task type refunds", "Phase 1", "NOT ENOUGH EVIDENCE")
    assert row.looks.startswith("1 of 6 planned looks taken. The next look may be taken on 23 Dec 2026")
    assert not row.may_request
    site.clock.move(days=7)
    site.works()
    site.enter("2")
    assert (site.refunds.state.phase, site.phase) == ("2", "3")
    ahead = site.clock() + 6 * 7 * DAYS
    site.clock.moment = ahead
    site.works()
    site.enter("3")
    assert site.refunds.joined_at == ahead
    assert site.judged().verdict.additions == ()
    site.clock.moment = datetime.combine(ahead.date() + DAYS, time(2), ahead.tzinfo)
    keep_days(site.place, site.clock())
    stable = read_clock(site.ledger, charter_in_force(site.ledger, AGENT), site.clock())
    assert stable.strip[-1].state is DayState.RESETS
    assert "The task type refunds joined the scope." in stable.strip[-1].text
    (row,) = show_rollout(site.place, site.judged()).additions
    assert (row.phase, row.mark, row.command) == ("joined the scope", None, "")
    with pytest.raises(UsageError, match="joined the scope"):
        roll_back_phase(site.place, AGENT, site.clock(), person="sam", reason="r", addition=site.refunds)
    over = request_phase(site.place, AGENT, "3", site.clock(), actor="sam", addition=site.refunds)
    assert "it moves with the agent" in over.sentence


def test_its_breach_takes_it_out_of_service_and_nothing_else(tmp_path):
    clock = Hands()
    with control_room_at(tmp_path, clock) as room:
        site = Site(room.installation, clock, tmp_path / "repository")
        begun = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=clock(), by=("dana",), reason="held")
        write_move(site.ledger, AGENT, AdditionEvent(what=REFUNDS[0], name=REFUNDS[1], move=begun))
        site.declare()
        clock.move(hours=1)
        site.works(("discrepancy", {"task_type": "refunds", "n": 5_000, "good": 4_000}))
        freeze_changes(site.place, clock())
        act_on_verdicts(room, clock())
        assert (site.refunds.state.phase, site.phase) == ("pilot", "3")
        assert room.controls.read().refusal_of(AGENT, version=V1) is None
        told = [one.title for one in room.incidents.incidents(agent=AGENT)]
        assert any("refunds" in one for one in told), told
        assert act_on_verdicts(room, clock()) == 0
        out = io.StringIO()
        render_rollout(show_rollout(site.place, site.judged()), Console(file=out, width=200))
    assert "Comes into the scope: task type refunds · out of service since" in out.getvalue()
    assert f"pilothouse phase request 1 {AGENT} --task-type refunds" in out.getvalue()


def test_what_came_in_may_be_waived_by_itself_and_the_signature_covers_nothing_else(site):
    begun = PhaseEvent(move=PhaseMove.ENTERED, phase="1", at=site.clock(), by=("dana",), reason="held")
    write_move(site.ledger, AGENT, AdditionEvent(what=REFUNDS[0], name=REFUNDS[1], move=begun))
    site.declare()
    site.clock.move(hours=1)
    site.works(("completion", {"task_type": "refunds", "n": 5_000, "good": 4_000}))

    def rows(found):
        (apart,) = found.apart.values()
        return [
            next(one for one in verdict.requirements if one.requirement == "MON-1")
            for verdict in (found.verdict, apart)
        ]

    found = site.judged()
    assert [row.status.value for row in rows(found)] == ["holds", "breached"]
    now = site.clock()
    waive(
        site.ledger, found.verdict, "MON-1", further=found.further, person="vp", actor="test",
        reason="new wording follows", until=now + 20 * DAYS, now=now,
    )  # fmt: skip
    assert rows(site.judged())[1].waiver is not None
    site.clock.move(hours=1)
    site.works(
        ("completion", {"task_type": "refunds", "n": 5_000, "good": 4_000}),
        ("completion", {"task_type": "po_invoice", "n": 5_000, "good": 4_000}),
    )
    agent, apart = rows(site.judged())
    assert (agent.status.value, agent.waiver) == ("breached", None)
    assert apart.waiver is not None


def test_a_person_takes_it_back_by_itself_and_it_never_goes_ahead_of_the_agent(site):
    site.ask()
    site.declare()
    back = roll_back_phase(
        site.place, AGENT, site.clock() + DAYS, person="sam", reason="wrong queue", addition=site.refunds
    )
    assert (back.phase, site.refunds.state.phase, site.phase) == ("pilot", "pilot", "3")
    site.clock.move(days=2)
    roll_back_phase(site.place, AGENT, site.clock(), person="sam", reason="all wrong", to="pilot")
    answer = request_phase(site.place, AGENT, "1", site.clock(), actor="sam", addition=site.refunds)
    assert answer.answer is Answer.REFUSED
    assert "in phase pilot, and nothing that came into its scope goes ahead of it" in answer.sentence
    with pytest.raises(Conflict, match="no request"):
        approve_phase(site.place, AGENT, "dana", site.clock(), addition=site.refunds)


def test_a_yes_that_comes_after_the_agent_fell_lets_nothing_go_ahead_of_it(site):
    site.ask()
    site.declare()
    site.clock.move(days=29)
    site.works()
    found = request_phase(site.place, AGENT, "2", site.clock(), actor="sam", addition=site.refunds)
    assert found.answer is Answer.ELIGIBLE, found
    roll_back_phase(site.place, AGENT, site.clock(), person="sam", reason="all wrong", to="1")
    with pytest.raises(Conflict, match="may not enter phase 2 any more"):
        approve_phase(site.place, AGENT, "dana", site.clock(), addition=site.refunds)
    assert site.refunds.state.phase == "1"
