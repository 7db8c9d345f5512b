# SPDX-License-Identifier: Apache-2.0
"""What a verdict makes necessary for an agent in service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter, replaced, without

from pilothouse.core.action.demotion import Act, ActState, Move, Standing, fold_acts, plan_demotion
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.verdict import Status
from pilothouse.core.verdict.waiver import Waiver, waived_items

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


def moves(evidence, *, phase="1", now=NOW, standing=None):
    return plan_demotion(decide(CHARTER, evidence, now, phase=phase, version=V1), standing=standing)


def recorded(plan, *, state=ActState.DONE, **fields):
    found = {
        name: getattr(plan, name) for name in ("move", "requirement", "phase", "version", "since", "due_at")
    }
    return Act(
        **{**found, "at": NOW, "sentence": plan.sentence, "remedy": plan.remedy, "state": state, **fields}
    )


def lapsed(kind, days, **scope):
    ended = NOW - timedelta(days=days)
    return replaced(HELD, kind, window_from=ended, window_to=ended, **scope)


def only(found, requirement):
    return next(move for move in found if move.requirement == requirement)


def test_an_agent_that_holds_stays_where_it_is():
    assert moves(HELD) == ()


def test_in_the_pilot_nothing_can_fall():
    assert moves([], phase="pilot") == ()


def test_evidence_that_lapsed_has_a_week_of_grace_and_then_the_phase_falls():
    evidence = lapsed("integration.certificate", 31, integration="erp")
    grace = only(moves(evidence), "INT-2")
    assert (grace.move, grace.phase, grace.due_at) == (Move.GRACE, None, NOW + timedelta(days=6))
    assert "Phase 1 is kept until 26 Nov 2026, then the pilot" in grace.sentence
    later = only(moves(evidence, now=NOW + timedelta(days=8)), "INT-2")
    assert (later.move, later.phase) == (Move.DEMOTE, "pilot")


def test_from_phase_2_the_fall_is_one_step_and_after_a_month_to_the_pilot():
    evidence = lapsed("integration.certificate", 40, integration="erp")
    assert only(moves(evidence, phase="2"), "INT-2").phase == "1"
    assert only(moves(evidence, phase="2", now=NOW + timedelta(days=30)), "INT-2").phase == "pilot"


RUNBOOK = "runbooks/quality.md"


def read_and_rehearsed(*, read, rehearsed, **fields):
    """All evidence, with one runbook read and rehearsed so many days ago."""
    parts = {one.scope.part for one in HELD if one.kind == "attested.mon-5"}
    reader = min(part for part in parts if part.startswith(RUNBOOK))
    ended = NOW - timedelta(days=read)
    evidence = replaced(HELD, "attested.mon-5", part=reader, window_from=ended, window_to=ended, **fields)
    ended = NOW - timedelta(days=rehearsed)
    return replaced(evidence, "drill.runbook", part=RUNBOOK, window_from=ended, window_to=ended)


def test_what_lapsed_counts_its_days_behind_an_older_signature_over_another_text():
    another_text = {"section": "alerts", "section_digest": "0" * 64}
    evidence = read_and_rehearsed(read=100, rehearsed=95, binds=another_text)
    found = only(moves(evidence), "MON-5")
    assert (found.move, found.item.scope.part) == (Move.GRACE, f"drill · {RUNBOOK}")
    assert found.due_at == NOW + timedelta(days=2)
    assert only(moves(evidence, now=NOW + timedelta(days=3)), "MON-5").move is Move.DEMOTE


def test_a_waived_breach_beside_what_lapsed_counts_the_days_of_what_lapsed():
    """That another part is not known any more is no breach of what the sponsor let pass."""
    evidence = replaced(HELD, "completion", task_type="po_invoice", n=5_000, good=4_000)

    def found(evidence, *waivers, now=NOW):
        return decide(CHARTER, evidence, now, phase="1", version=V1, waivers=waivers)

    seen = next(one for one in found(evidence).requirements if one.requirement == "MON-1")
    mark = Waiver(
        requirement="MON-1", signer="vp", reason="fixed by then", signed_at=NOW - timedelta(days=2),
        until=NOW + timedelta(days=20), version=V1, thresholds_digest=CHARTER.section_digests["thresholds"],
        value=seen.deciding.value, status=seen.status, items=waived_items(seen.items),
    )  # fmt: skip
    assert plan_demotion(found(evidence, mark)) == ()
    kind = next(
        one.scope.task_type for one in seen.items if one.status is Status.HOLDS and one.scope.task_type
    )
    ended = NOW - timedelta(days=60)
    stale = replaced(evidence, "completion", task_type=kind, window_from=ended, window_to=ended)
    assert only(plan_demotion(found(stale)), "MON-1").move is Move.BLOCK_PROMOTION
    moved = only(plan_demotion(found(stale, mark)), "MON-1")
    assert (moved.item.scope.task_type, moved.item.status) == (kind, Status.NO_EVIDENCE)


def test_of_two_that_lapsed_the_first_counts_its_days():
    found = only(moves(read_and_rehearsed(read=181, rehearsed=96)), "MON-5")
    assert (found.item.scope.part, found.due_at) == (f"drill · {RUNBOOK}", NOW + timedelta(days=1))


def test_a_lapsed_sign_in_has_a_day():
    evidence = lapsed("integration.sign_in", 1.5, integration="erp")
    assert only(moves(evidence), "INT-4").due_at == NOW + timedelta(days=0.5)


@pytest.mark.parametrize(
    ("kind", "task_type", "requirement", "move"),
    [
        ("critical", "po_invoice", "MON-2", Move.PAUSE),
        ("policy.bypass", None, "INT-8", Move.PAUSE),
        ("discrepancy", "po_invoice", "MON-7", Move.ROLL_BACK),
        ("hosts_observed", None, "INT-1", Move.BLOCK_PROMOTION),
    ],
)
def test_a_breach_moves_at_once(kind, task_type, requirement, move):
    found = moves(replaced(HELD, kind, task_type=task_type, n=5_000, good=4_000))
    due_at = NOW + timedelta(days=7) if move is Move.BLOCK_PROMOTION else NOW
    assert (found[0].requirement, found[0].move, found[0].due_at) == (requirement, move, due_at)
    assert found[0].remedy.startswith("pilothouse ")


def test_what_never_was_there_moves_nothing():
    assert moves(without(HELD, "roster")) == ()


def test_the_worst_move_comes_first():
    evidence = replaced(HELD, "hosts_observed", n=5_000, good=4_000)
    evidence = replaced(evidence, "critical", task_type="po_invoice", n=5_000, good=4_000)
    assert [move.move for move in moves(evidence)] == [Move.PAUSE, Move.BLOCK_PROMOTION]


LYING = replaced(HELD, "discrepancy", task_type="po_invoice", n=5_000, good=4_000)
UNDECLARED = replaced(HELD, "hosts_observed", n=5_000, good=4_000)


def test_a_breach_in_the_version_gone_back_to_costs_the_phase_at_once():
    standing = Standing(rolled_back_to=V1)
    found = only(moves(LYING, phase="2", standing=standing), "MON-7")
    assert (found.move, found.phase, found.due_at) == (Move.DEMOTE, "1", NOW)


def test_while_the_new_version_still_answers_the_rollback_stands():
    assert only(moves(LYING, standing=Standing(rolled_back_to="another")), "MON-7").move is Move.ROLL_BACK


def test_without_an_earlier_version_that_held_the_phase_falls():
    found = only(moves(LYING, phase="2", standing=Standing(has_earlier_version=False)), "MON-7")
    assert (found.move, found.phase) == (Move.DEMOTE, "1")


def test_a_rollback_that_was_done_gives_no_time_before_the_phase_falls():
    back = recorded(only(moves(LYING, phase="2"), "MON-7"))
    assert (back.move, back.state) == (Move.ROLL_BACK, ActState.DONE)
    standing = Standing(
        acts=fold_acts([back]), phase_since=NOW, rolled_back_to=V1, resolve={"MON-7": timedelta(days=2)}
    )
    found = only(moves(LYING, phase="2", standing=standing), "MON-7")
    assert (found.move, found.phase, found.due_at) == (Move.DEMOTE, "1", NOW)


def test_a_second_fall_for_one_breach_waits_for_the_time_to_cure():
    fell = recorded(only(moves(LYING, phase="2", standing=Standing(has_earlier_version=False)), "MON-7"))
    cure = {"MON-7": timedelta(days=2)}
    standing = Standing(acts=fold_acts([fell]), phase_since=NOW, has_earlier_version=False, resolve=cure)
    waits = only(moves(LYING, standing=standing), "MON-7")
    assert (waits.move, waits.due_at) == (Move.BLOCK_PROMOTION, NOW + timedelta(days=2))
    assert fell.covers(waits)  # nothing is said twice
    again = plan_demotion(
        decide(CHARTER, LYING, NOW, phase="1", version=V1), NOW + timedelta(days=2), standing=standing
    )
    assert (only(again, "MON-7").move, only(again, "MON-7").phase) == (Move.DEMOTE, "pilot")
    assert not fell.covers(only(again, "MON-7"))


def test_another_breach_blocks_promotion_and_costs_the_phase_when_it_is_not_cured_in_time():
    first = only(moves(UNDECLARED), "INT-1")
    assert (first.move, first.phase, first.due_at) == (Move.BLOCK_PROMOTION, None, NOW + timedelta(days=7))
    stands = Standing(
        acts=fold_acts([recorded(first, state=ActState.WAITS)]), resolve={"INT-1": timedelta(hours=4)}
    )
    verdict = decide(CHARTER, UNDECLARED, NOW, phase="1", version=V1)
    later = only(plan_demotion(verdict, NOW + timedelta(hours=4), stands), "INT-1")
    assert (later.move, later.phase, later.since) == (Move.DEMOTE, "pilot", NOW)
    assert "now the pilot" in later.sentence


def test_after_a_fall_lapsed_evidence_has_until_the_thirtieth_day():
    evidence = lapsed("integration.certificate", 38, integration="erp")
    fell = only(moves(evidence, phase="3"), "INT-2")
    assert (fell.move, fell.phase) == (Move.DEMOTE, "2")
    stands = Standing(acts=fold_acts([recorded(fell)]))
    waits = only(moves(evidence, phase="2", standing=stands), "INT-2")
    assert (waits.move, waits.due_at) == (Move.GRACE, NOW + timedelta(days=22))


def test_a_critical_case_pauses_also_where_another_part_decides():
    evidence = replaced(LYING, "critical", task_type="po_invoice", n=5_000, good=4_999)
    assert only(moves(evidence), "MON-2").move is Move.PAUSE


def test_what_a_person_lifted_is_not_done_again_for_the_same_version():
    plan = only(moves(LYING), "MON-7")
    assert recorded(plan).covers(plan)
    assert not recorded(plan, version="another").covers(plan)


def test_a_step_that_ended_stands_no_more():
    plan = only(moves(LYING), "MON-7")
    assert list(fold_acts([recorded(plan)])) == ["MON-7"]
    assert not fold_acts([recorded(plan), recorded(plan, state=ActState.ENDED)])


def test_what_is_only_begun_covers_nothing():
    plan = only(moves(lapsed("integration.certificate", 31, integration="erp")), "INT-2")
    assert recorded(plan, state=ActState.WAITS).covers(plan)
    assert not recorded(plan, state=ActState.BEGUN).covers(plan)


def test_a_warning_that_names_another_day_is_said_again():
    plan = only(moves(lapsed("integration.certificate", 31, integration="erp")), "INT-2")
    assert not recorded(plan, state=ActState.WAITS, due_at=plan.due_at - timedelta(days=1)).covers(plan)


def test_what_had_lapsed_when_the_phase_fell_for_another_waits_for_the_thirtieth_day():
    evidence, lapsed_at = lapsed("integration.certificate", 38, integration="erp"), NOW - timedelta(days=8)
    fell = Standing(phase_since=NOW, fell_at=NOW)
    waits = only(moves(evidence, phase="1", standing=fell), "INT-2")
    assert (waits.move, waits.due_at) == (Move.GRACE, lapsed_at + timedelta(days=30))
    entered = Standing(phase_since=NOW)
    assert only(moves(evidence, phase="1", standing=entered), "INT-2").move is Move.DEMOTE
