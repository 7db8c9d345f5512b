# SPDX-License-Identifier: Apache-2.0
"""A scope is widened in phase 3 only, after stable days; a refusal names the first day on which it may be asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from evidence_made import V1, edited_charter, everything_holds, load_charter, without

from pilothouse.connectors.charter_file import read_charter_text
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.phases import PhaseState
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.stability import Forecast, StabilityClock
from pilothouse.core.verdict.widening import judge_widening

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
HELD = everything_holds(CHARTER, NOW, phase="3")
WHOLE = decide(CHARTER, HELD, NOW, phase="3", version=V1)
LACKING = decide(CHARTER, without(HELD, "stability.clock"), NOW, phase="3", version=V1)


def clock(stable, forecast=None):
    return StabilityClock(
        stable_days=stable, target_days=90, strip=(), resets=(), paused_days=0, forecast=forecast
    )


def state(phase, days_ago=None):
    return PhaseState(phase=phase, since=None if days_ago is None else NOW - timedelta(days=days_ago))


def test_what_holds_in_phase_3_may_be_widened():
    found = judge_widening(CHARTER, WHOLE, state("3", 100), clock(95))
    assert (found.allowed, found.missing) == (True, ())


def test_in_phase_3_the_clock_tells_the_first_day():
    forecast = Forecast(earliest=date(2026, 12, 24), latest=date(2027, 1, 9))
    found = judge_widening(CHARTER, LACKING, state("3", 60), clock(60, forecast))
    assert (found.allowed, found.earliest) == (False, date(2026, 12, 24))
    assert "DATA-11" in found.missing
    assert "from 24 Dec 2026 on" in found.sentence
    still = judge_widening(CHARTER, LACKING, state("3", 1), clock(0))
    assert still.earliest == date(2027, 2, 18)


def test_before_phase_3_the_shortest_stays_and_the_days_add_up():
    found = judge_widening(CHARTER, WHOLE, state("1", 7), clock(20))
    assert found.earliest == (NOW + timedelta(weeks=3 + 6, days=90)).date()
    assert "the agent is in phase 1, and only phase 3 is widened" in found.sentence
    pilot = judge_widening(CHARTER, WHOLE, state("pilot"), clock(0))
    assert pilot.earliest == (NOW + timedelta(weeks=4 + 6, days=90)).date()


def test_where_the_agent_fell_back_a_week_is_the_shortest_stay():
    fell = PhaseState(phase="2", since=NOW - timedelta(days=2), re_entered=True)
    assert judge_widening(CHARTER, WHOLE, fell, clock(0)).earliest == (NOW + timedelta(days=5 + 90)).date()


def test_where_a_stay_or_the_clock_is_open_no_day_is_told():
    text = edited_charter(("share: 0.10, min: 4w", 'share: 0.10, min: "?"'))
    charter = Charter.model_validate(read_charter_text(text, file="charter.yaml").value)
    found = judge_widening(charter, LACKING, state("pilot"), clock(0))
    assert found.earliest is None
    assert "No first day can be told" in found.sentence
    assert judge_widening(CHARTER, LACKING, state("3", 1), None).earliest is None
