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

__all__ = ["SUCCESSOR_GATED", "Objection", "Retiring", "objections", "owner_term", "retirements", "retiring"]

TERM_LEFT_MIN = timedelta(days=183)
"""The owner must answer for the agent for six more months."""

TERM_NOTICE = timedelta(days=60)
"""So long before it is too short, a term warns: who comes next has to be found, and signs again."""

RETIREMENT_NOTICE = timedelta(days=60)
"""A pinned model this near to its retirement is a warning, or as near as the charter says where that is longer."""

SUCCESSOR_GATED = "pilothouse gate --candidate TARGET --plan"
"""What begins the work that a retirement asks for."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """A model that a charter names and whose last day is known.

    Attributes:
        role: What the model is to the agent, in words.
        name: Exact id.
        day: From this day on it is not served.
        source: Page that says so, or empty where the charter does.
        is_pinned: Whether the agent itself answers with it.
    """

    role: str
    name: str
    day: date
    source: str
    is_pinned: bool


def retiring(charter: Charter) -> tuple[Retiring, ...]:
    """Return the models of a charter whose last day is known: the pinned one, stand-ins and judges."""
    model = charter.model
    named = [("pinned model", model.pin.model, known(model.pin.retires_on))]
    named += [("stand-in", one.model, None) for one in known(model.fallback) or ()]
    named += [(f"judge {judge.name},", judge.pin.model, None) for judge in known(model.judges) or ()]
    found = []
    for place, (role, name, said) in enumerate(named):
        first = None if is_open(name) else first_retirement(name, said)
        if first is not None:
            day, page = first
            source = "" if page is None else page.source
            found.append(Retiring(role=role, name=name, day=day, source=source, is_pinned=place == 0))
    return tuple(found)


def retirements(charter: Charter, today: date) -> tuple[Objection, ...]:
    """Return objections from retirement dates of models: a retired pin is a breach, a retired stand-in or judge a warning."""
    notice = max(known(charter.model.upgrade.retirement_notice) or RETIREMENT_NOTICE, RETIREMENT_NOTICE)
    found = []
    for one in retiring(charter):
        if one.day - today > notice:
            continue
        past = one.day <= today
        source = f", says {one.source}" if one.source else ""
        found.append(
            Objection(
                requirement="EVAL-7",
                breaches=past and one.is_pinned,
                sentence=f"The {one.role} {one.name} {'was retired' if past else 'retires'} on {calendar_day(one.day)}{source}.",
                rule="the pinned model is not retired"
                if one.is_pinned
                else "no stand-in and no judge is retired",
                remedy=SUCCESSOR_GATED,
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
