# SPDX-License-Identifier: Apache-2.0
"""Whether an agent's scope may be widened, and if not, from which day on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName, phase_in_words
from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.phases import LOOK_EVERY, NEXT_PHASE, PhaseState
from pilothouse.core.verdict.stability import StabilityClock
from pilothouse.core.verdict.verdict import AgentVerdict

__all__ = ["Widening", "judge_widening"]

_GATE = "X"


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """The answer to a request to widen the scope.

    Attributes:
        allowed: Whether it may be widened now.
        earliest: First day on which it may be asked for, if all goes well; None while that cannot be told.
        sentence: Why, in one sentence.
        missing: Requirements that stand in the way, worst first.
    """

    allowed: bool
    earliest: date | None
    sentence: str
    missing: tuple[str, ...]


def judge_widening(
    charter: Charter,
    verdict: AgentVerdict,
    state: PhaseState,
    clock: StabilityClock | None,
) -> Widening:
    """Answer a request for a new task type, tool or group of users.

    The first possible day is the sum of the shortest stays up to phase 3, a week where the agent fell back, and of the
    stable days still to come; a clock that has counted is asked for its forecast. Where the charter leaves a stay open,
    no day can be told.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        state: The phase in force.
        clock: The stability clock, or None while its terms are open questions.
    """
    gate = next(found for found in verdict.gates if found.gate == _GATE)
    missing = gate.closed
    if state.phase == "3" and not missing:
        return Widening(
            allowed=True,
            earliest=verdict.as_of.date(),
            sentence="Phase 3, the stable days and production-grade volume hold: the scope may be widened.",
            missing=(),
        )
    earliest = _earliest(charter, state, clock, verdict.as_of)
    parts = (
        []
        if state.phase == "3"
        else [f"the agent is in {phase_in_words(state.phase)}, and only phase 3 is widened"]
    )
    if missing:
        parts.append(f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not hold")
    day = (
        f"It may be asked for from {calendar_day(earliest)} on, if every day counts."
        if earliest is not None
        else "No first day can be told: the charter leaves stays or the clock open."
    )
    return Widening(
        allowed=False, earliest=earliest, sentence=f"Not yet: {'; '.join(parts)}. {day}", missing=missing
    )


def _earliest(
    charter: Charter, state: PhaseState, clock: StabilityClock | None, now: datetime
) -> date | None:
    if clock is None:
        return None
    at = now
    phase: PhaseName = state.phase
    while phase != "3":
        terms = charter.phase(phase)
        stay = known(terms.min) if terms and terms.min is not None else None
        is_now = phase == state.phase
        if is_now and state.re_entered:
            stay = LOOK_EVERY
        if phase != "pilot":
            if stay is None:
                return None
            begun = state.since if is_now else None
            at = max(at, (begun or at) + stay)
        phase = NEXT_PHASE[phase]
    entered_later = state.phase != "3"
    left = clock.target_days - (0 if entered_later else clock.stable_days)
    if not entered_later and clock.forecast is not None:
        return clock.forecast.earliest
    return (at + timedelta(days=max(0, left))).date()
