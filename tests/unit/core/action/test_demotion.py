# SPDX-License-Identifier: Apache-2.0
"""What a verdict makes necessary for an agent in service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter, replaced, without

from pilothouse.core.action.demotion import Move, plan_demotion
from pilothouse.core.verdict.readiness import decide

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)


def moves(evidence, *, phase="1", now=NOW):
    return plan_demotion(decide(CHARTER, evidence, now, phase=phase, version=V1))


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
    assert (grace.move, grace.phase, grace.due_at) == (Move.GRACE, "1", NOW + timedelta(days=6))
    assert "phase 1 is kept until 26 Nov 2026" in grace.sentence
    later = only(moves(evidence, now=NOW + timedelta(days=8)), "INT-2")
    assert (later.move, later.phase) == (Move.DEMOTE, "pilot")


def test_from_phase_2_the_fall_is_one_step_and_after_a_month_to_the_pilot():
    evidence = lapsed("integration.certificate", 40, integration="erp")
    assert only(moves(evidence, phase="2"), "INT-2").phase == "1"
    assert only(moves(evidence, phase="2", now=NOW + timedelta(days=30)), "INT-2").phase == "pilot"


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
    assert (found[0].requirement, found[0].move, found[0].due_at) == (requirement, move, NOW)
    assert found[0].remedy.startswith("pilothouse ")


def test_what_never_was_there_moves_nothing():
    assert moves(without(HELD, "roster")) == ()


def test_the_worst_move_comes_first():
    evidence = replaced(HELD, "hosts_observed", n=5_000, good=4_000)
    evidence = replaced(evidence, "critical", task_type="po_invoice", n=5_000, good=4_000)
    assert [move.move for move in moves(evidence)] == [Move.PAUSE, Move.BLOCK_PROMOTION]
