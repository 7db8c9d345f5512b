# SPDX-License-Identifier: Apache-2.0
"""Plan the moves that a verdict makes necessary for an agent in service; nothing here acts.

Earlier moves are an argument, so that planning is idempotent and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pilothouse.core.charter.operations import NUMBERED_PHASES, PhaseName, phase_in_words
from pilothouse.core.dates import day
from pilothouse.core.verdict.verdict import (
    STOPPING_PARTS,
    AgentVerdict,
    ItemVerdict,
    Reason,
    RequirementVerdict,
    Status,
)

__all__ = ["Act", "ActState", "Demotion", "Move", "Standing", "fold_acts", "plan_demotion"]

GRACE: Final = timedelta(days=7)
"""Time to renew evidence that lapsed, or to cure a breach whose charter names no time, before the phase falls."""

GRACE_SHORT: Final = timedelta(hours=24)
"""For credentials and residency, where a week is too long."""

PILOT_AFTER: Final = timedelta(days=30)
"""Evidence that stayed away this long sends the agent back to the pilot."""

_SHORT = frozenset({"INT-4", "INT-9"})
_ROLL_BACK = frozenset({"MON-2", "MON-7", "EVAL-9"})
_BELOW: dict[str, PhaseName] = {"1": "pilot", "2": "1", "3": "2"}


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
        item: The item that asks for it.
        phase: Phase after it, or None when the phase stays.
        version: Version that is judged, or None when traffic names none.
        since: Since when the requirement does not hold, aware UTC.
        due_at: When it takes effect, or when the phase falls where this move is a warning; aware UTC.
        sentence: Why, in one sentence.
        remedy: What ends it.
    """

    move: Move
    requirement: str
    item: ItemVerdict
    phase: PhaseName | None
    version: str | None
    since: datetime
    due_at: datetime
    sentence: str
    remedy: str


class ActState(StrEnum):
    """The state of a move."""

    WAITS = "waits"
    """Said, not done: promotion is blocked, or the days of grace run."""
    BEGUN = "begun"
    """Decided and being done: written before the control, so that a kill in between is seen and finished."""
    DONE = "done"
    ENDED = "ended"
    """The requirement holds again, or nothing asks for it any more."""


class Act(BaseModel):
    """One step of a move, as it was recorded.

    Attributes:
        state: How far it is.
        move: What.
        requirement: Why: requirement id.
        phase: Phase after it, or None when the phase stays.
        version: Version that was judged.
        since: Since when the requirement did not hold.
        due_at: See `Demotion.due_at`.
        at: When it was recorded.
        sentence: Why.
        remedy: What ends it.
        incident: Name of the incident that tells people, or empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: ActState
    move: Move
    requirement: str
    phase: PhaseName | None
    version: str | None
    since: AwareDatetime
    due_at: AwareDatetime
    at: AwareDatetime
    sentence: str = Field(max_length=1_000)
    remedy: str = Field(max_length=500)
    incident: str = ""

    def covers(self, plan: Demotion) -> bool:
        """Whether nothing is left to do for a plan: it is done, or the phase has fallen and the next move is waiting.

        A move is not repeated for the same version, even where a person has lifted it since: whoever
        resumes an agent knows why it was paused.
        """
        if self.state is ActState.BEGUN:
            return False
        fell = self.state is ActState.DONE and self.move is Move.DEMOTE
        if fell and plan.move in {Move.GRACE, Move.BLOCK_PROMOTION}:
            return True
        if self.state is ActState.WAITS and self.due_at != plan.due_at:
            return False  # the day that was said is not the day any more
        return (self.move, self.phase, self.version) == (plan.move, plan.phase, plan.version)


def fold_acts(acts: Iterable[Act]) -> Mapping[str, Act]:
    """Return the move in force for each requirement, folded from recorded steps.

    Args:
        acts: Steps of one agent, oldest first.

    Example:
        >>> fold_acts([])
        mappingproxy({})
    """
    last = {act.requirement: act for act in acts}
    return MappingProxyType({name: act for name, act in last.items() if act.state is not ActState.ENDED})


def _nothing_stands() -> Mapping[str, Act]:
    return MappingProxyType({})


def _no_terms() -> Mapping[str, timedelta]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is in force for an agent when its verdict is read.

    Attributes:
        acts: What stands of earlier moves, by requirement.
        phase_since: When the phase in force began, or None.
        fell_at: The same where it began with a fall from a later one; None where it was entered by its gate.
        rolled_back_to: Version that alone may serve, or None.
        has_earlier_version: Whether an earlier version passed the release gate.
        resolve: Time to cure a breach, by requirement; a week where none is given.
    """

    acts: Mapping[str, Act] = field(default_factory=_nothing_stands)
    phase_since: datetime | None = None
    fell_at: datetime | None = None
    rolled_back_to: str | None = None
    has_earlier_version: bool = True
    resolve: Mapping[str, timedelta] = field(default_factory=_no_terms)


def plan_demotion(
    verdict: AgentVerdict, now: datetime | None = None, standing: Standing | None = None
) -> tuple[Demotion, ...]:
    """Return the moves that a verdict makes necessary, worst first.

    An agent in the pilot is in service for nobody, so its lapses move nothing.

    Args:
        verdict: The verdict.
        now: The moment, aware UTC; None for that of the verdict.
        standing: What is in force already; None for nothing.

    Returns:
        At most one move for each requirement of the gates in force, also where it has been made already.
    """
    at = verdict.as_of if now is None else now
    standing = standing or Standing()
    held = {gate for gate in NUMBERED_PHASES if verdict.phase != "pilot" and gate <= verdict.phase}
    moves = [
        move
        for requirement in verdict.requirements
        if held & set(requirement.gates) and requirement.waiver is None
        for move in _move(requirement, verdict, at, standing)
    ]
    return tuple(sorted(moves, key=lambda move: (_ORDER[move.move], move.due_at, move.requirement)))


def _move(
    requirement: RequirementVerdict, verdict: AgentVerdict, now: datetime, standing: Standing
) -> list[Demotion]:
    if requirement.unwaived_status is Status.BREACHED:
        return [_breached(requirement, verdict, now, standing)]
    # What lapsed first counts its days, also behind an item that is older and stale for another reason.
    lapses = [
        (item.lapses_at, place)
        for place, item in enumerate(requirement.items)
        if (requirement.part_waiver is None or place in requirement.part_waiver.uncovered)
        and item.reason is Reason.STALE
        and item.lapses_at is not None
        and item.lapses_at <= now
    ]
    if not lapses:
        return []
    lapsed_at, place = min(lapses)
    return [_lapsed(requirement.items[place], lapsed_at, verdict, now, standing)]


def _breached(
    requirement: RequirementVerdict, verdict: AgentVerdict, now: datetime, standing: Standing
) -> Demotion:
    name = requirement.requirement
    act = standing.acts.get(name)
    since = verdict.as_of if act is None else act.since
    stopping = next(
        (
            item
            for item in requirement.items
            if item.status is Status.BREACHED and (item.scope.part or "").startswith(STOPPING_PARTS)
        ),
        None,
    )
    if stopping is not None:
        return _at_once(
            Move.PAUSE, name, stopping, verdict, since, remedy=f"pilothouse resume {verdict.agent}"
        )
    item = requirement.deciding
    if name in _ROLL_BACK and _may_go_back(verdict, standing):
        return _at_once(Move.ROLL_BACK, name, item, verdict, since, remedy=item.remedy)
    fallen = act is not None and act.move is Move.DEMOTE and act.state is ActState.DONE
    at_once = name in _ROLL_BACK and not fallen
    counted_from = since if standing.phase_since is None else max(since, standing.phase_since)
    due_at = since if at_once else counted_from + standing.resolve.get(name, GRACE)
    below = _BELOW[verdict.phase]
    return _fall(Move.BLOCK_PROMOTION, name, item, verdict, since=since, due_at=due_at, below=below, now=now)


def _may_go_back(verdict: AgentVerdict, standing: Standing) -> bool:
    """Return whether an earlier version is left to roll back to: not when the restored one is breached as well."""
    if standing.rolled_back_to is not None:
        return verdict.version != standing.rolled_back_to
    return standing.has_earlier_version


def _lapsed(
    item: ItemVerdict, lapsed_at: datetime, verdict: AgentVerdict, now: datetime, standing: Standing
) -> Demotion:
    act = standing.acts.get(item.requirement)
    # What had lapsed when the phase fell has cost a phase, whichever requirement it fell for.
    fallen = (act is not None and act.move is Move.DEMOTE and act.state is ActState.DONE) or (
        standing.fell_at is not None and lapsed_at <= standing.fell_at
    )
    long_away = now >= lapsed_at + PILOT_AFTER
    grace = GRACE_SHORT if item.requirement in _SHORT else GRACE
    due_at = lapsed_at + (PILOT_AFTER if fallen or long_away else grace)
    below: PhaseName = "pilot" if fallen or long_away else _BELOW[verdict.phase]
    name = item.requirement
    return _fall(Move.GRACE, name, item, verdict, since=lapsed_at, due_at=due_at, below=below, now=now)


def _at_once(
    move: Move, name: str, item: ItemVerdict, verdict: AgentVerdict, since: datetime, *, remedy: str
) -> Demotion:
    """Return a move that takes effect now and keeps the phase."""
    return Demotion(
        move=move,
        requirement=name,
        item=item,
        phase=None,
        version=verdict.version,
        since=since,
        due_at=since,
        sentence=item.sentence,
        remedy=remedy,
    )


def _fall(
    warning: Move,
    name: str,
    item: ItemVerdict,
    verdict: AgentVerdict,
    *,
    since: datetime,
    due_at: datetime,
    below: PhaseName,
    now: datetime,
) -> Demotion:
    """Return the demotion once its time has passed, and until then the move that warns of it."""
    passed, until, after = now >= due_at, day(due_at), phase_in_words(below)
    kept = f"could be kept until {until}; now {after}" if passed else f"is kept until {until}, then {after}"
    return Demotion(
        move=Move.DEMOTE if passed else warning,
        requirement=name,
        item=item,
        phase=below if passed else None,
        version=verdict.version,
        since=since,
        due_at=due_at,
        sentence=f"{item.sentence} Phase {verdict.phase} {kept}.",
        remedy=item.remedy,
    )
