# SPDX-License-Identifier: Apache-2.0
"""An agent whose gates come no nearer has stalled, whatever is edited, run or signed meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter, without

from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.stall import StallLevel, judge_stall

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW)
WHOLE = decide(CHARTER, HELD, NOW, phase="1", version=V1)
LACKING = decide(CHARTER, without(HELD, "roster"), NOW, phase="1", version=V1)
WORSE = decide(CHARTER, without(HELD, "roster", "completion"), NOW, phase="1", version=V1)


def at(verdict, days_ago, **fields):
    return verdict.model_copy(update={"as_of": NOW - timedelta(days=days_ago), **fields})


def test_without_a_verdict_nothing_is_said():
    assert judge_stall([], NOW) is None


@pytest.mark.parametrize(
    ("days", "level"),
    [(59, StallLevel.MOVING), (60, StallLevel.NOTE), (143, StallLevel.FINDING), (183, StallLevel.QUESTION)],
)
def test_the_level_follows_the_days_without_progress(days, level):
    found = judge_stall([at(LACKING, days), at(LACKING, 1)], NOW)
    assert (found.level, found.days, found.requirement) == (level, days, "OWN-7")
    assert found.who


def test_a_gate_that_came_nearer_is_progress_and_one_that_went_away_is_none():
    nearer = judge_stall([at(WORSE, 200), at(LACKING, 10)], NOW)
    assert (nearer.level, nearer.days) == (StallLevel.MOVING, 10)
    further = judge_stall([at(LACKING, 200), at(WORSE, 10)], NOW)
    assert (further.level, further.days) == (StallLevel.QUESTION, 200)


def test_a_phase_that_was_entered_is_progress():
    found = judge_stall([at(LACKING, 200, phase="pilot"), at(LACKING, 20)], NOW)
    assert found.days == 20


def test_what_blocks_longest_is_named_from_when_it_has_blocked_without_a_break():
    found = judge_stall([at(LACKING, 100), at(WHOLE, 90), at(WORSE, 80), at(WORSE, 5)], NOW)
    assert found.blocked_since == NOW - timedelta(days=80)
    assert found.requirement in {"MON-1", "OWN-7"}


def test_an_agent_that_nothing_blocks_has_not_stalled():
    found = judge_stall([at(WHOLE, 300), at(WHOLE, 1)], NOW)
    assert (found.level, found.requirement, found.blocked_since) == (StallLevel.MOVING, "", None)
