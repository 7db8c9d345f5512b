# SPDX-License-Identifier: Apache-2.0
"""What waits for people about one agent and how it stands beside its verdict (queues, clock, charter → facts with links).

Whoever answers for an agent opens its page for ten minutes a week: what waits for a decision, how stable it is, what it is
worth and when its model is retired each stand on a page of their own, and here in a line that leads there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.models_published import first_retirement
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.verdict.stability import StabilityClock
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.domain import shown_names
from pilothouse.reports.fleet import VALUE
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import ago
from pilothouse.reports.rollout_clock import clock_words, last_reset
from pilothouse.reports.view_models import Frozen, Link, StatusMark, mark_of
from pilothouse.reports.waiting_work import WaitingWork, calls_of, incidents_of, reviews_of
from pilothouse.reports.words import phase_words, plural

__all__ = ["Approval", "Fact", "Standing", "standing_facts"]


DELAY = "alert.delay"
"""Kind of evidence about how soon an alert rule notices a fall."""

QUALITY = "quality"
"""What the rule looks at that an owner asks about first."""


class Fact(Frozen):
    """One line: what it is about, how that is, and where it is decided or proved.

    Attributes:
        name: What it is about.
        mark: Its status, or None where it has none.
        link: How it is, in words.
        small: Why, or empty.
    """

    name: str
    mark: StatusMark | None = None
    link: Link
    small: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A phase that was asked for and waits: which, and the ids of those who have not approved."""

    target: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is not in the verdict.

    Attributes:
        work: What waits for people.
        approval: The phase that waits for approval, or None.
        unsigned: Person id of whom each signature waits for.
        clock: The clock of stable days, or None while its terms are open questions.
    """

    work: WaitingWork
    approval: Approval | None
    unsigned: tuple[str, ...]
    clock: StabilityClock | None


def standing_facts(
    verdict: AgentVerdict, charter: Charter, standing: Standing, now: datetime
) -> tuple[Fact, ...]:
    """Return what waits, the most urgent first, then how the agent stands.

    Args:
        verdict: The verdict of the page.
        charter: The charter it judges.
        standing: What is not in the verdict.
        now: The moment of the page, aware UTC.
    """
    base = f"/agents/{quote(verdict.agent, safe='')}"
    return (
        *_waiting(charter, standing, now, base),
        _stable(standing.clock, base),
        *_value(verdict, base),
        *_noticed(verdict, charter, base),
        _model(charter, now, base),
    )


def _waiting(charter: Charter, standing: Standing, now: datetime, base: str) -> Iterator[Fact]:
    names, work = shown_names(charter), standing.work
    found = [
        Fact(name=name, link=link)
        for name, link in (
            ("Incidents", incidents_of(work)),
            ("Calls that wait for a yes or no", calls_of(work, now)),
            ("Reviews", reviews_of(work, now)),
        )
        if link.text != "none"
    ]
    if standing.approval is not None:
        asked = ", ".join(names.get(one, one) for one in standing.approval.people)
        phase = phase_words(standing.approval.target).lower()
        found.append(
            Fact(name="Approval", link=Link(text=f"{phase} waits for {asked}", href=f"{base}/rollout"))
        )
    if standing.unsigned:
        people = dict.fromkeys(names.get(one, one) for one in standing.unsigned)
        text = f"{plural(len(standing.unsigned), 'waits', 'wait')} for {', '.join(people)}"
        found.append(Fact(name="Signatures", link=Link(text=text, href=f"{base}/sign")))
    yield from found or [Fact(name="Waiting for people", link=Link(text="nothing"))]


def _stable(clock: StabilityClock | None, base: str) -> Fact:
    return Fact(
        name="Stable days",
        link=Link(text=clock_words(clock), href=f"{base}/rollout"),
        small=last_reset(clock) if clock else "",
    )


def _value(verdict: AgentVerdict, base: str) -> Iterator[Fact]:
    for one in verdict.requirements:
        if one.requirement == VALUE:
            yield Fact(
                name="Committed outcomes",
                mark=mark_of(one.status, one.reason),
                link=Link(text="Value", href=f"{base}/value"),
                small=foreign_line(one.deciding.sentence, chars_max=300),
            )


def _noticed(verdict: AgentVerdict, charter: Charter, base: str) -> Iterator[Fact]:
    """Say how soon a fall would be noticed, by the rule that is worst; among those that keep their time by one on quality."""
    items = (item for one in verdict.requirements for item in one.items if item.kind == DELAY)
    # A requirement that asks for the worst of others repeats their item.
    delays = list({item.scope.part: item for item in items}.values())
    if not delays:
        return
    on_quality = tuple(f" · {rule.id}" for rule in known(charter.alerts) or () if rule.on == QUALITY)
    as_bad = [one for one in delays if one.status is delays[0].status]
    shown = next((one for one in as_bad if (one.scope.part or "").endswith(on_quality)), delays[0])
    in_time = sum(one.status is Status.HOLDS for one in delays)
    yield Fact(
        name="A fall is noticed",
        mark=mark_of(shown.status, shown.reason),
        link=Link(text=f"in time by {in_time} of {plural(len(delays), 'alert rule')}", href=f"{base}/watch"),
        small=foreign_line(shown.sentence, chars_max=300),
    )


def _model(charter: Charter, now: datetime, base: str) -> Fact:
    """Say how long the pinned model is served; its stand-ins and judges stand in the verdict when their day is near."""
    pin, href = charter.model.pin, f"{base}/evals"
    if is_open(pin.model):
        return Fact(name="Model", link=Link(text="open question", href=href))
    first = first_retirement(pin.model, known(pin.retires_on))
    if first is None:
        said = "nobody has said until when it is served"
    else:
        said = f"retires {ago(midnight(first[0]), now)}, on {calendar_day(first[0])}"
        if first[0] <= now.date():
            said = f"was retired on {calendar_day(first[0])}"
    return Fact(name="Model", link=Link(text=foreign_line(pin.model), href=href), small=said)
