# SPDX-License-Identifier: Apache-2.0
"""Objections in the charter itself: a declaration can lower a status, never raise one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models_published import first_retirement
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.dates import calendar_day

__all__ = ["Objection", "objections", "owner_term", "retirements"]

TERM_LEFT_MIN = timedelta(days=183)
"""The owner must answer for the agent for six more months."""

TERM_NOTICE = timedelta(days=60)
"""So long before it is too short, a term warns: who comes next has to be found, and signs again."""

RETIREMENT_NOTICE = timedelta(days=60)
"""A pinned model this near to its retirement is a warning, or as near as the charter says where that is longer."""

TASK_TYPES_MAX = 3
"""More task types than this is no narrow function any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """An objection of the charter to a requirement.

    Attributes:
        requirement: Requirement id.
        breaches: Whether it is a breach, or only a warning beside proved items.
        sentence: What it says.
        rule: The rule in words.
        remedy: What to type.
    """

    requirement: str
    breaches: bool
    sentence: str
    rule: str
    remedy: str = "pilothouse check"


def objections(charter: Charter, now: datetime, phase: PhaseName) -> tuple[Objection, ...]:
    """Return the charter's objections to its own requirements.

    Args:
        charter: The charter.
        now: The moment, aware UTC.
        phase: Phase whose integrations count.
    """
    today = now.astimezone(UTC).date()
    found = (
        *_manual(charter, phase),
        owner_term(charter, today),
        *retirements(charter, today),
        _many_types(charter),
    )
    return tuple(objection for objection in found if objection is not None)


def _manual(charter: Charter, phase: PhaseName) -> list[Objection]:
    names = charter.integrations_of(phase) or ()
    manual = [name for name in names if (one := charter.integration(name)) and one.kind == "manual"]
    return [
        Objection(
            requirement="INT-6",
            breaches=True,
            sentence=f"Integration {name} is of kind manual: a person carries its data.",
            rule="no integration of kind manual",
        )
        for name in manual
    ]


def owner_term(charter: Charter, today: date) -> Objection | None:
    """Return the objection from the end of the owner's term: too short is a breach, and soon too short a warning."""
    ends = known(charter.owner.term_ends)
    if ends is None or ends - today >= TERM_LEFT_MIN + TERM_NOTICE:
        return None
    short_on = ends - TERM_LEFT_MIN + timedelta(days=1)
    short = today >= short_on
    since = "" if short else f" from {calendar_day(short_on)} on"
    return Objection(
        requirement="OWN-1",
        breaches=short,
        sentence=f"The owner's term ends on {calendar_day(ends)}, less than {TERM_LEFT_MIN.days} days away{since}: "
        "extend `owner.term_ends`, or name the successor.",
        rule=f"{TERM_LEFT_MIN.days} days of term left",
    )


def retirements(charter: Charter, today: date) -> tuple[Objection, ...]:
    """Return objections from retirement dates of models: a retired pin is a breach, a retired stand-in or judge a warning."""
    model = charter.model
    notice = max(known(model.upgrade.retirement_notice) or RETIREMENT_NOTICE, RETIREMENT_NOTICE)
    named = [("pinned model", model.pin.model, known(model.pin.retires_on))]
    named += [("stand-in", one.model, None) for one in known(model.fallback) or ()]
    named += [(f"judge {judge.name},", judge.pin.model, None) for judge in known(model.judges) or ()]
    found = []
    for place, (role, name, said) in enumerate(named):
        first = None if is_open(name) else first_retirement(name, said)
        if first is None or first[0] - today > notice:
            continue
        day, page = first
        past = day <= today
        source = "" if page is None else f", says {page.source}"
        found.append(
            Objection(
                requirement="EVAL-7",
                breaches=past and place == 0,
                sentence=f"The {role} {name} {'was retired' if past else 'retires'} on {calendar_day(day)}{source}.",
                rule="the pinned model is not retired"
                if place == 0
                else "no stand-in and no judge is retired",
                remedy="pilothouse gate --candidate TARGET --plan",
            )
        )
    return tuple(found)


def _many_types(charter: Charter) -> Objection | None:
    if len(charter.task_types) <= TASK_TYPES_MAX:
        return None
    return Objection(
        requirement="DATA-1",
        breaches=False,
        sentence=f"The charter lists {len(charter.task_types)} task types; a narrow function has at most {TASK_TYPES_MAX}.",
        rule=f"at most {TASK_TYPES_MAX} task types",
    )
