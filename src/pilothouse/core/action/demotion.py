# SPDX-License-Identifier: Apache-2.0
"""What a verdict makes necessary for an agent in service: it proposes, and nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pilothouse.core.verdict.numbers import day
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Reason, RequirementVerdict, Status

__all__ = ["Demotion", "Move", "plan_demotion"]

GRACE = timedelta(days=7)
"""Time to renew evidence that lapsed, before the phase falls."""

GRACE_SHORT = timedelta(hours=24)
"""For credentials and residency, where a week is too long."""

PILOT_AFTER = timedelta(days=30)
"""Evidence that stayed away this long sends the agent back to the pilot."""

_SHORT = frozenset({"INT-4", "INT-9"})
_ROLL_BACK = frozenset({"MON-2", "MON-7", "EVAL-9"})
_PAUSE_PARTS = ("critical", "bypass")
_BELOW = {"1": "pilot", "2": "1", "3": "2"}


class Move(StrEnum):
    """What is proposed, worst first."""

    PAUSE = "pause"
    ROLL_BACK = "roll back"
    DEMOTE = "demote"
    BLOCK_PROMOTION = "block promotion"
    GRACE = "grace"


_ORDER = {move: rank for rank, move in enumerate(Move)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demotion:
    """One proposed move.

    Attributes:
        move: What.
        requirement: Why: requirement id.
        phase: Phase after it, or None when the phase stays.
        due_at: When it takes effect, aware UTC.
        sentence: Why, in one sentence.
        remedy: What ends it.
    """

    move: Move
    requirement: str
    phase: str | None
    due_at: datetime
    sentence: str
    remedy: str


def plan_demotion(verdict: AgentVerdict) -> tuple[Demotion, ...]:
    """Return the moves that a verdict makes necessary, worst first; planning twice gives the same plan.

    An agent in the pilot is in service for nobody, so its lapses move nothing.

    Args:
        verdict: The verdict.

    Returns:
        At most one move for each requirement of the gates in force.
    """
    held = {gate for gate in ("1", "2", "3") if verdict.phase != "pilot" and gate <= verdict.phase}
    moves = [
        move
        for requirement in verdict.requirements
        if held & set(requirement.gates) and requirement.waiver is None
        for move in _move(requirement, verdict)
    ]
    return tuple(sorted(moves, key=lambda move: (_ORDER[move.move], move.due_at, move.requirement)))


def _move(requirement: RequirementVerdict, verdict: AgentVerdict) -> list[Demotion]:
    item = requirement.deciding
    if requirement.status is Status.BREACHED:
        return [_breached(requirement, item, verdict)]
    if requirement.reason is Reason.STALE and item.lapses_at is not None and item.lapses_at <= verdict.as_of:
        return [_lapsed(requirement, item, item.lapses_at, verdict)]
    return []


def _breached(requirement: RequirementVerdict, item: ItemVerdict, verdict: AgentVerdict) -> Demotion:
    part = item.scope.part or ""
    if part.startswith(_PAUSE_PARTS):
        move, remedy = Move.PAUSE, f"pilothouse resume {verdict.agent}"
    elif requirement.requirement in _ROLL_BACK:
        move, remedy = Move.ROLL_BACK, "pilothouse phase rollback"
    else:
        move, remedy = Move.BLOCK_PROMOTION, item.remedy
    return Demotion(
        move=move,
        requirement=requirement.requirement,
        phase=None,
        due_at=verdict.as_of,
        sentence=item.sentence,
        remedy=remedy,
    )


def _lapsed(
    requirement: RequirementVerdict, item: ItemVerdict, lapsed_at: datetime, verdict: AgentVerdict
) -> Demotion:
    due_at = lapsed_at + (GRACE_SHORT if requirement.requirement in _SHORT else GRACE)
    below = "pilot" if verdict.as_of >= lapsed_at + PILOT_AFTER else _BELOW[verdict.phase]
    passed = verdict.as_of >= due_at
    words = (
        f"phase {below} since {day(due_at)}"
        if passed
        else f"phase {verdict.phase} is kept until {day(due_at)}"
    )
    return Demotion(
        move=Move.DEMOTE if passed else Move.GRACE,
        requirement=requirement.requirement,
        phase=below if passed else verdict.phase,
        due_at=due_at,
        sentence=f"{item.sentence} Without it: {words}.",
        remedy=item.remedy,
    )
