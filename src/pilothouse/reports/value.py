# SPDX-License-Identifier: Apache-2.0
"""The Value page: three numbers as ranges with their sources, and each outcome against its commitment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.value import Outcome
from pilothouse.core.dates import day
from pilothouse.core.verdict.numbers import percentage, significant
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.value import Money, ThreeNumbers
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.reports.sections import Cell, Section, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Empty,
    Frozen,
    Link,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import money_text, plural

__all__ = ["NumberShown", "OutcomeShown", "SealShown", "ValuePage", "build_value"]

YEARS_FROM_MONTHS = 24
"""Nobody reads 962 months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealShown:
    """The newest seal over the outcomes.

    Attributes:
        at: When, aware UTC.
        by: Person id.
        in_time: Whether no task had counted yet.
        is_current: Whether the outcomes are still as they were sealed.
    """

    at: datetime
    by: str
    in_time: bool
    is_current: bool


class NumberShown(Frozen):
    """One of the three numbers.

    Attributes:
        name: What it is.
        value: The range; unknown where a part of it is.
        sources: Where its parts come from.
        unknown: Parts that nobody knows.
    """

    name: str
    value: Quantity
    sources: tuple[str, ...]
    unknown: tuple[str, ...]


class OutcomeShown(Frozen):
    """One outcome metric: what it was, what was committed, and what was measured."""

    name: str
    baseline: str
    committed: str
    control: str
    mark: StatusMark
    measured: str
    command: str


class ValuePage(Page):
    """What an agent is worth, and what that rests on.

    Attributes:
        numbers: Cost of staying a pilot, investment, return.
        ratio: Return on the investment in words.
        assumptions: What moves the return most, in words.
        seal: The seal over the outcomes, in words.
        outcomes: The committed outcome metrics.
        empty: What stands there without outcomes.
        action: The one thing to do next.
    """

    template: ClassVar[str] = "sections"

    numbers: tuple[NumberShown, ...]
    ratio: str
    assumptions: tuple[str, ...]
    seal: str
    outcomes: tuple[OutcomeShown, ...]
    empty: Empty | None
    action: ActionOffer

    @property
    def sections(self) -> tuple[Section, ...]:
        """The same as tables, which every face shows."""
        numbers = Section(
            anchor="numbers",
            title="Three numbers",
            note=self.ratio,
            columns=columns("What", "#Range", "Rests on"),
            rows=tuple(
                row(
                    one.name,
                    one.value.shown,
                    Cell(
                        text="; ".join(one.sources),
                        small=f"Not known: {', '.join(one.unknown)}" if one.unknown else "",
                    ),
                )
                for one in self.numbers
            ),
            more=(
                Link(
                    text="One sheet for whoever decides",
                    href=f"/agents/{quote(self.agent or '', safe='')}/executive",
                ),
            ),
        )
        moving = Section(
            anchor="assumptions",
            title="What moves the return most",
            columns=columns("Assumption", "What it does"),
            rows=tuple(row(*one.split(": ", 1)) for one in self.assumptions),
        )
        outcomes = Section(
            anchor="outcomes",
            title="Outcomes",
            note=self.seal,
            columns=columns("State", "Outcome", "Was", "Committed", "Compared with", "Measured"),
            rows=tuple(
                row(
                    one.mark,
                    one.name,
                    one.baseline,
                    one.committed,
                    one.control,
                    Cell(text=one.measured, command=one.command),
                )
                for one in self.outcomes
            ),
            empty=self.empty,
        )
        return (numbers, *((moving,) if self.assumptions else ()), outcomes)


def build_value(
    charter: Charter, verdict: AgentVerdict, numbers: ThreeNumbers, seal: SealShown | None, now: datetime
) -> ValuePage:
    """Return the Value page of an agent."""
    currency = known(charter.currency) or "USD"
    shown = (
        _number("Staying a pilot, a month", numbers.staying, currency),
        _number("Getting to production, once", numbers.investment, currency),
        _number("Return, a year", numbers.back, currency),
    )
    proof = next(one for one in verdict.requirements if one.requirement == "DATA-10")
    mark = mark_of(proof.status, proof.reason)
    outcomes = known(charter.outcomes) or ()
    return ValuePage(
        name="value",
        title=f"{mark.spoken} · value of {charter.agent}",
        heading="Value",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(plain=_sentence(numbers, currency)),
        notices=(
            "These ranges rest on the charter's estimates and on this installation's telemetry, on no survey.",
        ),
        numbers=shown,
        ratio=_ratio(numbers),
        assumptions=tuple(
            f"{one.name}: moves the return by {currency} {significant(one.swing)} a year"
            for one in numbers.assumptions
        ),
        seal=_seal(seal, person_names(charter)),
        outcomes=tuple(_outcome(one, proof.items) for one in outcomes),
        empty=None
        if outcomes
        else Empty(missing="No outcome is committed.", asked_by="DATA-9", command="pilothouse check"),
        action=_action(seal, proof.deciding, has_outcomes=bool(outcomes)),
    )


def _number(name: str, money: Money, currency: str) -> NumberShown:
    middle = None if money.high is None else (money.low + money.high) / 2
    return NumberShown(
        name=name,
        value=Quantity(
            value=middle, unit="money", low=money.low, high=money.high, shown=money_text(money, currency)
        ),
        sources=tuple(shown_text(source) for source in money.sources),
        unknown=tuple(shown_text(part) for part in money.unknown),
    )


def _sentence(numbers: ThreeNumbers, currency: str) -> str:
    back = numbers.back
    if back.high is None:
        return f"Nobody can say yet what it returns; not known: {', '.join(back.unknown)}."
    if back.low > 0:
        return f"By these estimates it returns {money_text(back, currency)} a year at the present volume."
    if back.high <= 0:
        least, most = significant(-back.high), significant(-back.low)
        return f"By these estimates it costs {currency} {least} to {most} a year more than it returns, at the present volume."
    return f"By these estimates it may return or cost: {money_text(back, currency)} a year at the present volume."


def _ratio(numbers: ThreeNumbers) -> str:
    if not numbers.investment.high or numbers.back.high is None:
        return ""
    said = []
    if numbers.ratio is not None:
        low, high = numbers.ratio
        said.append(f"First-year return on the investment: {low * 100:+,.0f} % to {high * 100:+,.0f} %.")
    if numbers.break_even_months is None:
        return " ".join([*said, "It never earns the investment back."])
    soonest, latest = numbers.break_even_months
    until = f"after {_months(latest)}" if latest is not None else "never"
    begins = f"after {_months(soonest)}" if soonest > 0 else "at once"
    return " ".join([*said, f"The investment is earned {begins} at best, {until} at worst."])


def _months(months: float) -> str:
    return plural(round(months), "month") if months < YEARS_FROM_MONTHS else f"{months / 12:.0f} years"


def _seal(seal: SealShown | None, names: Mapping[str, str]) -> str:
    if seal is None:
        return "Not sealed: what was committed could still be moved."
    when = "before" if seal.in_time else "after"
    text = f"Sealed on {day(seal.at)} by {names.get(seal.by, seal.by)}, {when} the first task counted in production."
    return text if seal.is_current else f"{text} The charter's outcomes have changed since."


def _outcome(outcome: Outcome, items: tuple[ItemVerdict, ...]) -> OutcomeShown:
    item = next((one for one in items if one.scope.part == outcome.name), None)
    base, commit = outcome.baseline, outcome.commit
    change = known(commit.change)
    return OutcomeShown(
        name=outcome.name,
        baseline="open question"
        if is_open(base.value)
        else f"{base.value:,g} {outcome.unit} ({str(base.window).replace('..', ' to ')})",
        committed="open question"
        if change is None
        else f"{percentage(change, decimals=0, signed=True)} by {str(commit.by).replace('-', ' ')}",
        control=str(outcome.control.kind).replace("_", "/"),
        mark=mark_of(item.status, item.reason) if item else mark_of(Status.NO_EVIDENCE),
        measured=shown_text(item.sentence) if item else "",
        command=f"pilothouse value measure {outcome.name} FILE",
    )


def _action(seal: SealShown | None, deciding: ItemVerdict, *, has_outcomes: bool) -> ActionOffer:
    if not has_outcomes:
        return ActionOffer(label="Commit an outcome", command="pilothouse check")
    if seal is None or not seal.is_current:
        return ActionOffer(label="Seal the outcomes", command="pilothouse value seal --as PERSON")
    if deciding.status is Status.HOLDS:
        return ActionOffer(label="Keep measuring", command=deciding.remedy)
    return ActionOffer(label="Measure the outcome", command=deciding.remedy)
