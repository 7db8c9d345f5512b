# SPDX-License-Identifier: Apache-2.0
"""The phase of an agent, and whether it may enter the next one: planned looks, a gate, and approvals.

A phase is entered by a verdict and by approvals, never by an edit. What happened is a list of events; the
phase in force is its fold, so that equal events always say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PhaseName, phase_in_words
from pilothouse.core.dates import day
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.verdict import AgentVerdict, GateVerdict

__all__ = [
    "APPROVAL_MAX_AGE",
    "LOOKS_MAX",
    "LOOK_EVERY",
    "LOOK_LEVEL",
    "NEXT_PHASE",
    "Answer",
    "PhaseEvent",
    "PhaseMove",
    "PhaseState",
    "Promotion",
    "approvers_of",
    "fold_phase",
    "judge_promotion",
    "next_look_at",
    "overdue_since",
]

LOOKS_MAX: Final = 6
"""Planned looks at a gate; each spends a sixth of the error, so that asking again and again proves nothing."""

LOOK_EVERY: Final = timedelta(days=7)
"""Time between looks: a whole week, so that each look sees every weekday equally often."""

LOOK_LEVEL: Final = 1 - 0.05 / LOOKS_MAX
"""Confidence of each bound at a look: six of them together let a false promotion through in at most 5 %."""

APPROVAL_MAX_AGE: Final = timedelta(days=7)
"""An approval answers one request; a week later the evidence is another."""

NEXT_PHASE: Final[dict[PhaseName, PhaseName]] = {"pilot": "1", "1": "2", "2": "3"}


class PhaseMove(StrEnum):
    """What changed the phase."""

    ENTERED = "entered"
    ROLLED_BACK = "rolled back"
    DEMOTED = "demoted"


class PhaseEvent(BaseModel):
    """One change of the phase, as it was recorded.

    Attributes:
        move: What happened.
        phase: The phase from then on.
        at: When, aware UTC.
        by: Who: person ids, or a part of the system.
        reason: Why, in one sentence.
        verdict_digest: The verdict that opened the gate, or empty.
        sequence: Place of its row in the ledger, which is no part of the row; 0 for one that is in none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    move: PhaseMove
    phase: PhaseName
    at: AwareDatetime
    by: tuple[str, ...]
    reason: str = Field(max_length=500)
    verdict_digest: str = ""
    sequence: int = Field(default=0, exclude=True)

    @property
    def place(self) -> tuple[int, datetime, str, str]:
        """Its sort key: the order of recording, because a clock may stand still or go back."""
        return (self.sequence, self.at, self.phase, self.move)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseState:
    """The phase in force.

    Attributes:
        phase: The phase.
        since: When it began, aware UTC; None for a pilot that nothing ever left.
        re_entered: Whether the agent fell back into it from a later one; then a week is enough before the next gate.
    """

    phase: PhaseName
    since: datetime | None
    re_entered: bool = False


def fold_phase(events: Iterable[PhaseEvent]) -> PhaseState:
    """Fold events, in any order, into the phase in force.

    Args:
        events: Recorded events of one agent.

    Example:
        >>> fold_phase([]).phase
        'pilot'
    """
    ordered = sorted(events, key=lambda event: event.place)
    if not ordered:
        return PhaseState(phase="pilot", since=None)
    last = ordered[-1]
    before = ordered[-2].phase if len(ordered) > 1 else "pilot"
    # A phase that is begun anew was not passed yet: its shortest stay counts from its new beginning.
    fell = last.move is not PhaseMove.ENTERED and last.phase != before
    return PhaseState(phase=last.phase, since=last.at, re_entered=fell)


class Answer(StrEnum):
    """The answer to a request for the next phase."""

    ELIGIBLE = "eligible"
    """The gate holds: the approvals are asked for."""
    NOT_YET = "not yet"
    """Something the gate asks for is not known or not enough."""
    BREACHED = "breached"
    """Something the gate asks for does not hold."""
    TOO_EARLY = "too early"
    """Before the next planned look."""
    REFUSED = "refused"
    """The charter's order of phases, or the number of looks, does not allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The answer to a request.

    Attributes:
        answer: What it gets.
        target: The phase asked for.
        look: Number of the planned look, from 1; 0 where none was spent.
        next_look_at: When the next look may be taken, aware UTC; None when there is none.
        overdue_since: When the longest stay ended, aware UTC; None while it has not.
        sentence: Why, in one sentence.
        missing: Requirements that stand in the way, worst first.
        waived: Requirements that a waiver lets through.
        approvers: Person ids whose approval is needed.
    """

    answer: Answer
    target: PhaseName
    look: int = 0
    next_look_at: datetime | None = None
    overdue_since: datetime | None = None
    sentence: str
    missing: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()


def approvers_of(charter: Charter, target: PhaseName) -> tuple[str, ...]:
    """Return who must approve entering a phase: the owner, and from phase 2 on also the sponsor.

    Returns:
        Person ids; empty while the charter leaves one of them open, and then nobody can approve.
    """
    people = [known(charter.owner.person)]
    if target in {"2", "3"}:
        people.append(known(charter.sponsor.person))
    return tuple(person for person in people if person) if all(people) else ()


def judge_promotion(
    charter: Charter,
    verdict: AgentVerdict,
    state: PhaseState,
    target: PhaseName,
    *,
    looks: Sequence[datetime],
    of: str = "agent",
) -> Promotion:
    """Answer a request to enter the next phase.

    Args:
        charter: The charter in force.
        verdict: A verdict made at `LOOK_LEVEL`, at the moment of the request.
        state: The phase in force.
        target: The phase asked for.
        looks: Moments of the looks already taken since the phase began.
        of: Whose phase it is: the agent's, or that of something that came into its scope.

    Returns:
        The answer; only `eligible`, `not yet` and `breached` spend a look.
    """
    now = verdict.as_of
    overdue = overdue_since(charter, state, now)
    wanted = NEXT_PHASE.get(state.phase)
    if target != wanted:
        there = f"the next is phase {wanted}" if wanted else "there is none after it"
        return Promotion(
            answer=Answer.REFUSED,
            target=target,
            overdue_since=overdue,
            sentence=f"The {of} is in {phase_in_words(state.phase)}; {there}. Phases are passed one by one.",
        )
    if len(looks) >= LOOKS_MAX:
        return Promotion(
            answer=Answer.REFUSED,
            target=target,
            overdue_since=overdue,
            sentence=f"All {LOOKS_MAX} planned looks at this gate were taken. Another would find luck, not proof: "
            f"`pilothouse phase rollback {charter.agent} --to {state.phase} --as PERSON --reason WHY` starts the phase anew.",
        )
    due = next_look_at(charter, state, looks)
    if due is not None and now < due:
        return Promotion(
            answer=Answer.TOO_EARLY,
            target=target,
            next_look_at=due,
            overdue_since=overdue,
            sentence=f"The next planned look is on {day(due)}; until then the phase stays as it is.",
        )
    return _look(charter, verdict, target, look=len(looks) + 1, overdue=overdue)


def _look(
    charter: Charter, verdict: AgentVerdict, target: PhaseName, *, look: int, overdue: datetime | None
) -> Promotion:
    gate = next(found for found in verdict.gates if found.gate == target)
    missing, waived = gate.closed, gate.waived
    answer = _answer(missing, gate)
    following = verdict.as_of + LOOK_EVERY if look < LOOKS_MAX else None
    return Promotion(
        answer=answer,
        target=target,
        look=look,
        next_look_at=None if answer is Answer.ELIGIBLE else following,
        overdue_since=overdue,
        sentence=_sentence(answer, gate, missing, waived, look),
        missing=missing,
        waived=waived,
        approvers=approvers_of(charter, target) if answer is Answer.ELIGIBLE else (),
    )


def _answer(missing: Sequence[str], gate: GateVerdict) -> Answer:
    if not missing:
        return Answer.ELIGIBLE
    return Answer.BREACHED if set(missing) & set(gate.breached) else Answer.NOT_YET


def _sentence(
    answer: Answer, gate: GateVerdict, missing: Sequence[str], waived: Sequence[str], look: int
) -> str:
    at = f"Look {look} of {LOOKS_MAX}, each bound at {percentage(LOOK_LEVEL)}: "
    if answer is Answer.ELIGIBLE:
        conditions = [*gate.at_risk, *(f"{name} (waived)" for name in waived)]
        with_conditions = f", with conditions: {', '.join(conditions)}" if conditions else ""
        return f"{at}everything that gate {gate.gate} asks for holds{with_conditions}."
    named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return f"{at}{'breached' if answer is Answer.BREACHED else 'not enough evidence'}: {named}."


def next_look_at(charter: Charter, state: PhaseState, looks: Sequence[datetime]) -> datetime | None:
    """Return when the next look may be taken; None when one may be taken at any time.

    Args:
        charter: The charter in force.
        state: The phase in force.
        looks: Moments of the looks already taken since the phase began.
    """
    if looks:
        return max(looks) + LOOK_EVERY
    if state.since is None:
        return None
    phase = charter.phase(state.phase)
    stay = LOOK_EVERY if state.re_entered else (known(phase.min) if phase and phase.min else None)
    return state.since + stay if stay else state.since


def overdue_since(charter: Charter, state: PhaseState, now: datetime) -> datetime | None:
    """Return when the longest stay in the phase in force ended, or None while it has not."""
    phase = charter.phase(state.phase)
    longest = known(phase.max) if phase and phase.max else None
    if state.since is None or longest is None or now < state.since + longest:
        return None
    return state.since + longest
