# SPDX-License-Identifier: Apache-2.0
"""Phases are passed one by one, at planned looks, by a gate that holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from evidence_made import V1, edited_charter, everything_holds, load_charter, replaced, without
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.verdict.docket import judge_all
from pilothouse.core.verdict.phases import (
    LOOK_LEVEL,
    LOOKS_MAX,
    Answer,
    PhaseEvent,
    PhaseMove,
    PhaseState,
    approvers_of,
    fold_phase,
    judge_promotion,
    next_look_at,
)
from pilothouse.core.verdict.readiness import conclude, decide
from pilothouse.core.verdict.waiver import Waiver, waived_items

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)
PILOT = PhaseState(phase="pilot", since=None)


def verdict(evidence=HELD, *, phase="pilot", **options):
    return decide(CHARTER, evidence, NOW, phase=phase, version=V1, level=LOOK_LEVEL, **options)


def ask(target="1", *, state=PILOT, looks=(), found=None):
    found = verdict(phase=state.phase) if found is None else found
    return judge_promotion(CHARTER, found, state, target, looks=looks)


def event(move, phase, days):
    return PhaseEvent(move=move, phase=phase, at=NOW - timedelta(days=days), by=("dana",), reason="r")


def test_an_open_gate_is_eligible_and_names_who_approves():
    found = ask()
    assert (found.answer, found.look, found.approvers) == (Answer.ELIGIBLE, 1, ("dana",))
    assert "everything that gate 1 asks for holds" in found.sentence


def test_from_phase_2_on_the_sponsor_approves_too():
    state = PhaseState(phase="1", since=NOW - timedelta(days=35))
    assert ask("2", state=state).approvers == ("dana", "vp")


def test_what_is_missing_is_named_and_a_breach_is_said_as_one():
    lacking = ask(found=verdict(without(HELD, "drill.page")))
    assert (lacking.answer, lacking.missing) == (Answer.NOT_YET, ("OWN-3",))
    broken = ask(found=verdict(replaced(HELD, "drill.page", passed=False)))
    assert (broken.answer, broken.missing[0]) == (Answer.BREACHED, "OWN-3")
    assert broken.next_look_at == NOW + timedelta(days=7)


def test_phases_are_passed_one_by_one():
    found = ask("2")
    assert (found.answer, found.look) == (Answer.REFUSED, 0)
    assert "the next is phase 1" in found.sentence
    last = ask("1", state=PhaseState(phase="3", since=NOW - timedelta(days=70)))
    assert "there is none after it" in last.sentence


def test_before_the_shortest_stay_no_look_is_spent():
    state = PhaseState(phase="1", since=NOW - timedelta(days=10))
    found = ask("2", state=state)
    assert (found.answer, found.look) == (Answer.TOO_EARLY, 0)
    assert found.next_look_at == state.since + timedelta(days=28)


def test_after_a_fall_a_week_is_enough():
    state = PhaseState(phase="1", since=NOW - timedelta(days=8), re_entered=True)
    assert ask("2", state=state).look == 1


def test_looks_are_a_week_apart_and_end():
    state = PhaseState(phase="1", since=NOW - timedelta(days=80))
    assert ask("2", state=state, looks=[NOW - timedelta(days=3)]).answer is Answer.TOO_EARLY
    used = [NOW - timedelta(days=7 * number) for number in range(1, LOOKS_MAX + 1)]
    found = ask("2", state=state, looks=used)
    assert found.answer is Answer.REFUSED
    assert "phase rollback" in found.sentence
    assert ask("2", state=state, looks=used[1:]).look == LOOKS_MAX
    lacking = verdict(without(HELD, "drill.page"), phase="1")
    last, before = (ask("2", state=state, looks=used[taken:], found=lacking) for taken in (1, 2))
    assert (last.look, last.next_look_at) == (LOOKS_MAX, None), "no day is named for a look that there is not"
    assert before.next_look_at == NOW + timedelta(days=7)


def test_a_stay_that_is_too_long_is_said():
    state = PhaseState(phase="1", since=NOW - timedelta(days=50))
    assert ask("2", state=state).overdue_since == state.since + timedelta(days=42)
    assert ask("2", state=PhaseState(phase="1", since=NOW - timedelta(days=40))).overdue_since is None


def test_a_waiver_lets_a_gate_open_with_conditions():
    waiver = Waiver(
        requirement="OWN-7",
        signer="vp",
        reason="roster follows",
        signed_at=NOW - timedelta(days=2),
        until=NOW + timedelta(days=10),
        version=V1,
        thresholds_digest=CHARTER.section_digests["thresholds"],
    )
    found = ask(found=verdict(without(HELD, "roster"), waivers=(waiver,)))
    assert (found.answer, found.waived) == (Answer.ELIGIBLE, ("OWN-7",))
    assert "with conditions: OWN-7 (waived)" in found.sentence


def test_a_waiver_of_one_integration_does_not_open_a_gate_that_asks_for_more_of_them():
    """Phase 1 asks for the ERP alone, phase 2 for the mail as well: who signed for one has not signed for both."""
    state = PhaseState(phase="1", since=NOW - timedelta(days=35))
    failed = [
        one.model_copy(update={"passed": False}) if one.kind == "integration.certificate" else one
        for one in HELD
    ]
    docket = judge_all(CHARTER, failed, version=V1, level=LOOK_LEVEL)
    seen = conclude(docket, CHARTER, NOW, phase="1")
    here, there = (
        next(one for one in asked if one.requirement == "INT-2")
        for asked in (seen.verdict.requirements, seen.ahead)
    )
    assert {item.scope.integration for item in there.items} > {item.scope.integration for item in here.items}

    def answered(items):
        signed = Waiver(
            requirement="INT-2",
            signer="vp",
            reason="vendor fix",
            signed_at=NOW - timedelta(days=2),
            until=NOW + timedelta(days=10),
            version=V1,
            thresholds_digest=CHARTER.section_digests["thresholds"],
            items=waived_items(items),
        )
        found = verdict(failed, phase="1", waivers=(signed,))
        assert next(one for one in found.requirements if one.requirement == "INT-2").waiver is not None
        answer = ask("2", state=state, found=found)
        return "INT-2" in answer.missing, "INT-2" in answer.waived, answer.answer

    assert answered(here.items) == (True, False, Answer.BREACHED)
    assert answered(there.items)[:2] == (False, True)


def test_a_look_asks_for_more_than_a_verdict():
    """A rate that is proved at 95 % and not at 99.2 % holds on the page and does not open the gate."""
    close = [
        one.model_copy(update={"n": 400, "good": 388, "value": None})
        if one.kind == "completion" and one.scope.task_type == "po_invoice"
        else one
        for one in HELD
    ]
    plain = decide(CHARTER, close, NOW, phase="pilot", version=V1)
    assert next(gate for gate in plain.gates if gate.gate == "1").no_evidence == ()
    assert ask(found=verdict(close)).missing == ("MON-1",)


def test_a_pilot_that_nothing_ever_left_is_where_everybody_begins():
    assert fold_phase([]) == PILOT


def test_while_an_approver_is_an_open_question_nobody_can_approve(tmp_path):
    path = tmp_path / "charter.yaml"
    path.write_text(edited_charter(("sponsor: {person: vp", 'sponsor: {person: "?"')))
    charter = load_charter(path)
    assert (approvers_of(charter, "1"), approvers_of(charter, "2")) == (("dana",), ())


def test_the_pilot_has_no_shortest_stay():
    assert next_look_at(CHARTER, PILOT, []) is None
    open_phases = PhaseState(phase="pilot", since=NOW)
    assert next_look_at(CHARTER, open_phases, []) == NOW


def test_the_phase_is_the_last_event_and_a_fall_is_remembered():
    events = [event(PhaseMove.ENTERED, "1", 30), event(PhaseMove.DEMOTED, "pilot", 3)]
    assert fold_phase(events) == PhaseState(phase="pilot", since=NOW - timedelta(days=3), re_entered=True)
    assert fold_phase(reversed(events)) == fold_phase(events)


def test_of_two_moves_of_one_instant_the_later_row_is_in_force_whatever_the_clock_says():
    moved = event(PhaseMove.ENTERED, "2", 3).model_copy(update={"sequence": 7})
    at_once = event(PhaseMove.DEMOTED, "1", 3).model_copy(update={"sequence": 8})
    clock_back = event(PhaseMove.DEMOTED, "pilot", 4).model_copy(update={"sequence": 9})
    assert fold_phase([at_once, moved]).phase == "1"
    assert fold_phase([clock_back, at_once, moved]) == PhaseState(
        phase="pilot", since=clock_back.at, re_entered=True
    )
    assert "sequence" not in moved.model_dump_json(), "the row says it by its place"


def test_a_phase_that_is_begun_anew_keeps_its_shortest_stay():
    """Otherwise two days of phase 1, a restart and a week would stand for its four weeks."""
    events = [event(PhaseMove.ENTERED, "1", 10), event(PhaseMove.ROLLED_BACK, "1", 8)]
    state = fold_phase(events)
    assert state == PhaseState(phase="1", since=NOW - timedelta(days=8), re_entered=False)
    assert ask("2", state=state).next_look_at == state.since + timedelta(days=28)


@given(phase=st.sampled_from(["pilot", "1", "2", "3"]), target=st.sampled_from(["1", "2", "3"]))
def test_without_evidence_no_request_is_ever_eligible(phase, target):
    empty = decide(CHARTER, (), NOW, phase=phase, version=V1, level=LOOK_LEVEL)
    state = PhaseState(phase=phase, since=None if phase == "pilot" else NOW - timedelta(days=60))
    assert judge_promotion(CHARTER, empty, state, target, looks=()).answer is not Answer.ELIGIBLE


def test_more_than_five_missing_are_counted():
    found = ask(found=verdict(without(HELD, "drill.", "directory", "roster", "attested.")))
    assert f"and {len(found.missing) - 5} more" in found.sentence
