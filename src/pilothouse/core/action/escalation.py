# SPDX-License-Identifier: Apache-2.0
"""The escalation path of a charter: who is paged on which level, by which channel, and by when they must answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import EscalationLevel

__all__ = ["Call", "LevelPlan", "next_level", "plan_level", "start_level"]

_NOVEL_START = 2
"""What no alert rule foresaw goes past the first level at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One person to be called.

    Attributes:
        person: Person id.
        stands_for: The person they stand in for, or None.
    """

    person: str
    stands_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPlan:
    """One level of the path with the people it calls now.

    Attributes:
        level: Its number.
        calls: People, those who left replaced by their substitutes.
        via: Channels, first one first.
        acknowledge: On-call time until the next level is called.
    """

    level: int
    calls: tuple[Call, ...]
    via: tuple[str, ...]
    acknowledge: timedelta


def _levels(charter: Charter) -> tuple[EscalationLevel, ...]:
    return tuple(sorted(known(charter.escalation) or (), key=lambda level: level.level))


def _calling(charter: Charter) -> list[int]:
    """Return the numbers of the levels that call somebody, lowest first."""
    plans = (plan_level(charter, one.level) for one in _levels(charter))
    return [plan.level for plan in plans if plan is not None and plan.calls]


def plan_level(charter: Charter, level: int, *, gone: Collection[str] = ()) -> LevelPlan | None:
    """Return who is called on a level; None when the charter has no such level, or leaves it open.

    Args:
        charter: The charter in force.
        level: Number of the level.
        gone: Person ids who left or are away; their substitute is called instead, where one is named and there.
    """
    found = next((one for one in _levels(charter) if one.level == level), None)
    if found is None or is_open(found.acknowledge):
        return None
    calls: dict[str, Call] = {}
    for person in known(found.to) or ():
        if is_open(person):
            continue
        stands_in = charter.people[person].substitute if person in gone and person in charter.people else None
        name = known(stands_in)
        # Of two who are both gone, the one whom the charter names: the level's clock runs, and the next one is called.
        call = Call(person=person) if name is None or name in gone else Call(person=name, stands_for=person)
        calls.setdefault(call.person, call)
    via = tuple(way for way in known(found.via) or () if not is_open(way))
    return LevelPlan(level=level, calls=tuple(calls.values()), via=via, acknowledge=found.acknowledge)


def next_level(charter: Charter, level: int) -> int | None:
    """Return the level after this one that calls somebody, or None after the last.

    A level of which the charter leaves open whom it calls, or for how long, has no clock: the path would end there.

    Args:
        charter: The charter in force.
        level: Number of the level that stayed silent.
    """
    return next((number for number in _calling(charter) if number > level), None)


def start_level(charter: Charter, severity: str, *, foreseen: bool) -> int:
    """Return the level that is called first: one that calls somebody, where there is any.

    Args:
        charter: The charter in force.
        severity: Severity of the incident.
        foreseen: Whether an alert rule of the charter watches for it; what is new goes to level 2.
    """
    numbers = _calling(charter) or [one.level for one in _levels(charter)]
    terms = {str(name): one for name, one in (known(charter.severities) or {}).items()}.get(severity)
    wanted = known(terms.start_level) if terms else None
    from_wanted = [number for number in numbers if wanted is not None and number >= wanted]
    first = (from_wanted or numbers or [1])[0]
    if foreseen or first >= _NOVEL_START or _NOVEL_START not in numbers:
        return first
    return _NOVEL_START
