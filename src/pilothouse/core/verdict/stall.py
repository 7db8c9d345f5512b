# SPDX-License-Identifier: Apache-2.0
"""Whether an agent has stalled: no progress towards a gate for months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from pilothouse.core.charter.operations import PHASES
from pilothouse.core.verdict.verdict import AgentVerdict

__all__ = ["FINDING_DAYS", "NOTE_DAYS", "QUESTION_DAYS", "Stall", "StallLevel", "judge_stall"]

NOTE_DAYS: Final = 60
"""Two months without progress are worth a sentence."""

FINDING_DAYS: Final = 143
"""4.7 months: by one survey the average time before a pilot stalls, by another text the time until it is noticed."""

QUESTION_DAYS: Final = 183
"""Half a year: somebody has to say go or no-go."""


class StallLevel(StrEnum):
    """How long there was no progress."""

    MOVING = "moving"
    NOTE = "note"
    FINDING = "finding"
    QUESTION = "question"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """How long there was no progress towards a gate, and the longest blocker.

    Attributes:
        level: What that calls for.
        since: Last time a gate came nearer, or the first verdict; aware UTC.
        days: Whole days since then.
        requirement: Requirement of the next gate that has blocked longest, or empty when nothing blocks.
        blocked_since: Since when it blocks, as far as the verdicts go back; None when nothing blocks.
        who: Person ids who must act on it.
    """

    level: StallLevel
    since: datetime
    days: int
    requirement: str
    blocked_since: datetime | None
    who: tuple[str, ...]


def judge_stall(history: Sequence[AgentVerdict], now: datetime) -> Stall | None:
    """Return how long no gate has come nearer; None without a verdict.

    A gate comes nearer when fewer of its requirements are breached or without evidence than in the verdict
    before, or when a later phase was entered. Runs, edits and signatures that change no status are no progress.

    Args:
        history: Verdicts of one agent, oldest first.
        now: The moment, aware UTC.
    """
    if not history:
        return None
    since = history[0].as_of
    for before, after in pairwise(history):
        entered = PHASES.index(after.phase) > PHASES.index(before.phase)
        if entered or _nearer(_closed(before), _closed(after)):
            since = after.as_of
    newest = history[-1]
    blocking = _blocking(newest)
    by_start = sorted((_blocked_since(history, name), name) for name in blocking)
    days = max(0, (now - since).days)
    if not by_start:
        return Stall(
            level=StallLevel.MOVING, since=since, days=days, requirement="", blocked_since=None, who=()
        )
    start, name = by_start[0]
    found = next(one for one in newest.requirements if one.requirement == name)
    return Stall(
        level=_level(days),
        since=since,
        days=days,
        requirement=name,
        blocked_since=start,
        who=found.deciding.who,
    )


def _level(days: int) -> StallLevel:
    if days >= QUESTION_DAYS:
        return StallLevel.QUESTION
    if days >= FINDING_DAYS:
        return StallLevel.FINDING
    return StallLevel.NOTE if days >= NOTE_DAYS else StallLevel.MOVING


def _closed(verdict: AgentVerdict) -> Mapping[str, int]:
    return {gate.gate: len(gate.breached) + len(gate.no_evidence) for gate in verdict.gates}


def _nearer(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    return any(after[gate] < count for gate, count in before.items() if gate in after)


def _blocking(verdict: AgentVerdict) -> tuple[str, ...]:
    wanted = verdict.next_gate or verdict.gates[0].gate
    return next(one for one in verdict.gates if one.gate == wanted).closed


def _blocked_since(history: Sequence[AgentVerdict], name: str) -> datetime:
    """Return the first of the verdicts, back from the newest, in which a requirement has blocked all the time."""
    since = history[-1].as_of
    for verdict in reversed(history):
        if name not in _blocking(verdict):
            break
        since = verdict.as_of
    return since
