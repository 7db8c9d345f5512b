# SPDX-License-Identifier: Apache-2.0
"""Requests, approvals and falls are rows of the ledger; the clock is kept day by day."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from evidence_made import V1, everything_holds

from pilothouse.core.charter.answers import known
from pilothouse.core.dates import day
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.verdict.phases import Answer, PhaseEvent, PhaseMove
from pilothouse.core.verdict.stability import DayRecord
from pilothouse.errors import Conflict, Denied, UsageError
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import MOVED, phase_at, phase_now
from pilothouse.workflows.phases import phases
from pilothouse.workflows.phases.phases import approve_phase, demote_phase, request_phase, roll_back_phase
from pilothouse.workflows.phases.rollout import show_rollout
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.history import freeze_changes
from pilothouse.workflows.verdict.stability import DAY, clock_evidence, keep_days, read_clock, read_days

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = EXAMPLE_NOW
AGENT = "ap-invoice-triage"


@pytest.fixture
def bare(tmp_path):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
    home = load_settings({}, home=tmp_path)
    return Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)


@pytest.fixture
def ready(bare):
    """An agent of which everything holds: records of every kind, and one task that names its version."""
    ledger = bare.ledger
    (record,) = ledger.charters()
    ledger.add_evidence(everything_holds(charter_of(record), NOW))
    at = int((NOW - timedelta(days=10)).timestamp()) * 10**9
    bare.lake.add([example_task(start_ns=at, end_ns=at + 10**9, version_digest=V1, task_type="other")])
    return bare


def phase_of(installation, now=NOW):
    return assess(installation, AGENT, now, freeze=False).verdict.phase


def test_without_evidence_a_request_spends_a_look_and_moves_nothing(bare):
    found = request_phase(bare, AGENT, "1", NOW, actor="sam")
    assert found.answer is Answer.NOT_YET
    assert phase_of(bare) == "pilot"
    (row,) = bare.ledger.decisions(AGENT, kind="phase.looked")
    assert json.loads(row.document)["look"] == 1
    with pytest.raises(Conflict, match="no request"):
        approve_phase(bare, AGENT, "dana", NOW)
    again = request_phase(bare, AGENT, "1", NOW + timedelta(days=1), actor="sam")
    assert again.answer is Answer.TOO_EARLY


def test_a_gate_that_holds_is_entered_by_the_owners_approval_and_verdicts_say_so(ready):
    found = request_phase(ready, AGENT, "1", NOW, actor="sam")
    assert found.answer is Answer.ELIGIBLE, found
    with pytest.raises(Denied, match="cannot approve"):
        approve_phase(ready, AGENT, "sam", NOW)
    done = approve_phase(ready, AGENT, "dana", NOW + timedelta(hours=1))
    assert (done.approved_by, done.waiting_for) == (("dana",), ())
    assert phase_of(ready, NOW + timedelta(hours=2)) == "1"
    assert phase_of(ready, NOW) == "pilot"  # a past moment is judged in the phase of that moment
    with pytest.raises(Conflict, match="no request"):
        approve_phase(ready, AGENT, "dana", NOW + timedelta(hours=2))


def test_an_approval_is_about_the_request_that_was_shown(ready):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    (row,) = ready.ledger.decisions(AGENT, kind="phase.looked")
    with pytest.raises(Conflict, match="waits now than the one that was shown"):
        approve_phase(ready, AGENT, "dana", NOW, seen=str(row.sequence - 1))
    assert phase_of(ready) == "pilot"
    assert approve_phase(ready, AGENT, "dana", NOW, seen=str(row.sequence)).waiting_for == ()


def test_a_declared_substitute_approves_for_the_owner(ready):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    assert approve_phase(ready, AGENT, "lee", NOW).approved_by == ("dana",)


def test_evidence_that_lapsed_since_the_look_closes_the_gate_again(ready):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    with pytest.raises(Conflict, match="does not any more"):
        approve_phase(ready, AGENT, "dana", NOW + timedelta(days=6))


def while_it_is_judged(monkeypatch, happens):
    """Let something happen once, between the look at the request and the approval."""
    whole = phases.assess

    def judged(*args, **named):
        monkeypatch.setattr(phases, "assess", whole)
        happens()
        return whole(*args, **named)

    monkeypatch.setattr(phases, "assess", judged)


def in_phase_1(ready):
    request_phase(ready, AGENT, "1", NOW - timedelta(days=60), actor="sam")
    entered = PhaseEvent(
        move=PhaseMove.ENTERED, phase="1", at=NOW - timedelta(days=50), by=("dana",), reason="held"
    )
    ready.ledger.record(
        kind=MOVED, agent=AGENT, at=entered.at, actor="dana", document=entered.model_dump_json()
    )


def once_the_phase_is_read(monkeypatch, happens, read="_state"):
    """Let something happen once, between the look at where the agent is and the move that rests on it."""
    whole = getattr(phases, read)

    def looked(*args):
        found = whole(*args)
        monkeypatch.setattr(phases, read, whole)
        happens()
        return found

    monkeypatch.setattr(phases, read, looked)


def test_a_step_back_that_was_read_before_a_deeper_fall_lifts_nothing(ready, monkeypatch):
    in_phase_1(ready)
    assert request_phase(ready, AGENT, "2", NOW, actor="sam").answer is Answer.ELIGIBLE
    for who in ("dana", "vp"):
        approve_phase(ready, AGENT, who, NOW)
    later = NOW + timedelta(hours=1)
    once_the_phase_is_read(
        monkeypatch,
        lambda: demote_phase(ready.ledger, AGENT, later, to="pilot", actor="verdict", reason="worse"),
    )
    with pytest.raises(Conflict, match="recorded meanwhile"):
        roll_back_phase(ready, AGENT, later, person="dana", reason="slow")
    assert phase_now(ready.ledger, AGENT) == "pilot"


def test_a_fall_that_was_read_before_a_deeper_one_lifts_nothing_and_one_that_is_deeper_comes(
    ready, monkeypatch
):
    in_phase_1(ready)
    request_phase(ready, AGENT, "2", NOW, actor="sam")
    for who in ("dana", "vp"):
        approve_phase(ready, AGENT, who, NOW)
    later, fall = NOW + timedelta(hours=1), {"actor": "verdict", "reason": "worse"}
    once_the_phase_is_read(
        monkeypatch,
        lambda: roll_back_phase(ready, AGENT, later, person="dana", reason="slow", to="1"),
    )
    assert demote_phase(ready.ledger, AGENT, later, to="pilot", **fall) is not None
    assert phase_now(ready.ledger, AGENT) == "pilot"
    in_phase_1(ready)
    once_the_phase_is_read(
        monkeypatch,
        lambda: roll_back_phase(ready, AGENT, later, person="dana", reason="slow", to="pilot"),
    )
    assert demote_phase(ready.ledger, AGENT, later, to="pilot", **fall) is None


def test_of_two_servers_that_see_the_last_approval_one_enters_and_both_say_so(ready, monkeypatch):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    whole, moves = phases._still_asked, []

    def asked(*args):
        found = whole(*args)
        if len(moves) == 1:  # the second look, after which the phase is entered
            monkeypatch.setattr(phases, "_still_asked", whole)
            moves.append(approve_phase(ready, AGENT, "dana", NOW))
        else:
            moves.append(None)
        return found

    monkeypatch.setattr(phases, "_still_asked", asked)
    assert approve_phase(ready, AGENT, "dana", NOW).waiting_for == moves[1].waiting_for == ()
    assert len(ready.ledger.decisions(AGENT, kind=MOVED)) == 1


def test_a_fall_between_the_last_look_and_the_entry_is_not_entered_over(ready, monkeypatch):
    in_phase_1(ready)
    request_phase(ready, AGENT, "2", NOW, actor="sam")
    approve_phase(ready, AGENT, "dana", NOW)
    looks = []

    def asked(*args, real=phases._still_asked):
        found = real(*args)
        looks.append(1)
        if len(looks) == 2:
            demote_phase(ready.ledger, AGENT, NOW, to="pilot", actor="verdict", reason="worse")
        return found

    monkeypatch.setattr(phases, "_still_asked", asked)
    with pytest.raises(Conflict, match="recorded meanwhile"):
        approve_phase(ready, AGENT, "vp", NOW)
    assert phase_now(ready.ledger, AGENT) == "pilot"


def test_a_phase_that_falls_while_an_approval_is_judged_is_not_entered_over_it(ready, monkeypatch):
    in_phase_1(ready)
    assert request_phase(ready, AGENT, "2", NOW, actor="sam").answer is Answer.ELIGIBLE
    approve_phase(ready, AGENT, "dana", NOW)
    while_it_is_judged(
        monkeypatch,
        lambda: demote_phase(ready.ledger, AGENT, NOW, to="pilot", actor="verdict", reason="it lies"),
    )
    with pytest.raises(Conflict, match="moved while the approval was judged"):
        approve_phase(ready, AGENT, "vp", NOW)
    assert phase_now(ready.ledger, AGENT) == "pilot"


def test_of_two_who_approve_at_once_the_later_one_opens_the_phase(ready, monkeypatch):
    in_phase_1(ready)
    request_phase(ready, AGENT, "2", NOW, actor="sam")
    while_it_is_judged(monkeypatch, lambda: approve_phase(ready, AGENT, "dana", NOW))
    assert approve_phase(ready, AGENT, "vp", NOW).waiting_for == ()
    assert phase_now(ready.ledger, AGENT) == "2"


def test_a_request_nobody_answers_lapses(ready):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    with pytest.raises(Conflict, match="no request"):
        approve_phase(ready, AGENT, "dana", NOW + timedelta(days=8))


def test_falling_back_needs_a_person_with_the_duty_and_no_gate(ready):
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    approve_phase(ready, AGENT, "dana", NOW)
    with pytest.raises(Denied, match="may not roll"):
        roll_back_phase(ready, AGENT, NOW, person="vp", reason="r")
    with pytest.raises(UsageError, match="lies ahead"):
        roll_back_phase(ready, AGENT, NOW, person="sam", reason="r", to="2")
    later = NOW + timedelta(minutes=1)
    assert roll_back_phase(ready, AGENT, later, person="sam", reason="wrong queue").phase == "pilot"
    assert phase_of(ready, later) == "pilot"
    page = show_rollout(ready, assess(ready, AGENT, later, freeze=False))
    assert [moved.text.split(":")[0] for moved in page.history] == [
        "Pilot rolled back by S. Ortega",
        "Phase 1 entered by D. Ruiz",
    ]


def test_an_agent_without_a_charter_cannot_be_rolled_back(bare):
    with pytest.raises(UsageError, match="no agent with a charter"):
        roll_back_phase(bare, "another", NOW, person="sam", reason="r")


def test_the_page_says_what_to_do_next_at_each_step(ready):
    assert (
        show_rollout(ready, assess(ready, AGENT, NOW, freeze=False)).action.command
        == "pilothouse phase request 1"
    )
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    page = show_rollout(ready, assess(ready, AGENT, NOW, freeze=False))
    assert (page.action.command, page.approvals) == (
        f"pilothouse phase approve {AGENT} --as dana",
        "Waits for D. Ruiz.",
    )


def test_the_look_that_let_the_agent_in_is_none_at_the_gate_ahead(ready):
    """Also when look, approval and beginning bear one moment, as commands with a given clock do."""
    request_phase(ready, AGENT, "1", NOW, actor="sam")
    approve_phase(ready, AGENT, "dana", NOW)
    page = show_rollout(ready, assess(ready, AGENT, NOW, freeze=False))
    due = day(NOW + known(charter_of(ready.ledger.charters()[0]).phase("1").min))
    assert page.looks.startswith("0 of 6")
    assert page.next_look == f"The next look may be taken on {due}."
    assert request_phase(ready, AGENT, "2", NOW, actor="sam").answer is Answer.TOO_EARLY


def test_two_moves_of_one_instant_come_to_one_phase_for_everybody(bare):
    """A fold over all moves and the newest row alone agree, in verdicts as at the gateway."""
    for move, phase in ((PhaseMove.ENTERED, "2"), (PhaseMove.DEMOTED, "1")):
        event = PhaseEvent(move=move, phase=phase, at=NOW, by=("dana",), reason="r")
        document = json.dumps(event.model_dump(mode="json"))
        bare.ledger.record(kind=MOVED, agent=AGENT, at=NOW, actor="dana", document=document)
    assert phase_now(bare.ledger, AGENT) == phase_at(bare.ledger, AGENT, NOW).phase == "1"
    assert phase_of(bare) == "1"


def test_finished_days_are_written_once_and_a_day_without_verdict_pauses(bare):
    assert keep_days(bare, NOW) == 31
    assert keep_days(bare, NOW) == 0
    days = read_days(bare.ledger, AGENT)
    assert {pause for day in days for pause in day.pauses} == {"No verdict was given on this day."}
    assert clock_evidence(bare.ledger, charter_of(bare.ledger.charters()[0]), NOW) is None


@pytest.mark.parametrize(
    ("past_midnight", "paused"),
    [
        (timedelta(), 14),
        (timedelta(minutes=59), 14),
        (timedelta(minutes=79), 14),
        (timedelta(minutes=80), 0),
        (timedelta(hours=20), 0),
    ],
)
def test_a_day_whose_record_is_on_its_way_ends_no_pause(bare, past_midnight, paused):
    """At most fourteen days in a row may pause: in the hour after midnight yesterday was the fifteenth."""
    charter = charter_of(bare.ledger.charters()[0])
    today = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(30, 1, -1):
        row = DayRecord(
            day=(today - timedelta(days=back)).date(),
            tasks=900,
            volume_share=0.8,
            complete_share=1.0,
            pauses=("No verdict was given on this day.",) if back <= 15 else (),
        )
        bare.ledger.record(kind=DAY, agent=AGENT, at=NOW, actor="test", document=row.model_dump_json())
    clock = read_clock(bare.ledger, charter, today + past_midnight)
    assert (clock.stable_days, clock.paused_days) == ((15, 14) if paused else (0, 15))
    record = clock_evidence(bare.ledger, charter, today + past_midnight)
    assert (record is None) is (not paused)


def test_a_verdict_of_last_week_says_nothing_of_days_on_which_nobody_judged(ready):
    """The server that judges was down while tasks went on to arrive: these days counted by the verdict before them."""
    today = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    assess(ready, AGENT, today - timedelta(days=8, minutes=30), freeze=True)
    keep_days(ready, NOW)
    found = {(today - midnight(row.day)).days: row.pauses for row in read_days(ready.ledger, AGENT)}
    assert "No verdict was given on this day." not in found[9]
    assert "No verdict was given on this day." not in found[8], (
        "half an hour before it, and frozen once a day"
    )
    assert all(found[back] == ("No verdict was given on this day.",) for back in range(7, 0, -1))


def test_a_day_that_was_written_in_time_counts_at_once(bare):
    charter = charter_of(bare.ledger.charters()[0])
    today = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    row = DayRecord(day=(today - timedelta(days=1)).date(), tasks=900, volume_share=0.8, complete_share=1.0)
    bare.ledger.record(kind=DAY, agent=AGENT, at=NOW, actor="test", document=row.model_dump_json())
    assert read_clock(bare.ledger, charter, today + timedelta(minutes=61)).stable_days == 1


def test_a_loosened_threshold_resets_the_day_it_came_into_force(bare, tmp_path):
    text = CHARTER.read_text().replace("completion: {min: 0.95}", "completion: {min: 0.90}")
    folder = tmp_path / "repo"
    shutil.copytree(CHARTER.parent, folder)
    (folder / CHARTER.name).write_text(text)
    at = NOW - timedelta(days=3)
    freeze_changes(bare, at)
    accept_file(bare.ledger, folder / CHARTER.name, at, actor="test")
    keep_days(bare, NOW)
    day = next(day for day in read_days(bare.ledger, AGENT) if day.day == at.date())
    assert {reset.reason for reset in day.resets} >= {"threshold_loosened"}


def test_a_day_on_which_telemetry_was_missing_is_not_complete(bare):
    day = datetime.combine((NOW - timedelta(days=2)).date(), datetime.min.time(), tzinfo=UTC)
    for hours, state in ((6, "raised"), (12, "closed")):
        bare.ledger.record(
            kind="telemetry.gap",
            agent="*",
            at=day + timedelta(hours=hours),
            actor="pilothouse up",
            document=json.dumps({"state": state}),
        )
    keep_days(bare, NOW)
    found = next(row for row in read_days(bare.ledger, AGENT) if row.day == day.date())
    assert found.complete_share == pytest.approx(0.75)


def test_a_look_is_spent_by_who_may_operate_and_by_a_program_but_by_nobody_else(bare):
    for person in ("vp", "nobody", ""):
        with pytest.raises(Denied, match="may not ask for a phase"):
            request_phase(bare, AGENT, "1", NOW, actor=person, person=person)
    assert bare.ledger.decisions(AGENT, kind="phase.looked") == ()
    assert request_phase(bare, AGENT, "1", NOW, actor="sam", person="sam").look == 1
