# SPDX-License-Identifier: Apache-2.0
"""The three numbers of the decision, each a range with its sources: staying, getting there, and the return.

Ends are combined worst with worst, because nobody knows how the parts hang together. A part that nobody knows
makes a sum "unknown, at least ...", never zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pilothouse.core.charter.answers import is_open
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.value import PilotBurn
from pilothouse.core.verdict.remediation import Plan

__all__ = [
    "DAYS_A_MONTH",
    "Assumption",
    "Measured",
    "Money",
    "ThreeNumbers",
    "TypeVolume",
    "stated_range",
    "three_numbers",
]

DAYS_A_MONTH: Final = 30.4

_ONE_OFF: Final = ("integration", "evaluation", "monitoring")
"""Lines of the production budget that are paid once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """A range of money with where it comes from.

    Attributes:
        low: Low end, in the charter's currency.
        high: High end; None when a part of it is unknown, and then `low` is only "at least".
        sources: Where the parts come from.
        unknown: Parts that nobody knows.
    """

    low: float
    high: float | None
    sources: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def plus(self, other: Money) -> Money:
        """Return the sum, ends with ends.

        Example:
            >>> Money(low=1, high=2).plus(Money(low=3, high=None, unknown=("model",))).high is None
            True
        """
        high = None if self.high is None or other.high is None else self.high + other.high
        return Money(
            low=self.low + other.low,
            high=high,
            sources=tuple(dict.fromkeys((*self.sources, *other.sources))),
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )

    def times(self, low: float, high: float) -> Money:
        """Return the range times a factor in [low, high], both at least 0."""
        ends = [self.low * low, self.low * high]
        if self.high is None:
            return replace(self, low=min(ends))
        ends += [self.high * low, self.high * high]
        return replace(self, low=min(ends), high=max(ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeVolume:
    """Measurements of one task type.

    Attributes:
        task_type: Its name.
        tasks_per_month: Tasks completed a month.
        wrong_low: Low end of the rate of wrong results, or None while nobody measured it.
        wrong_high: High end, or None.
        cost_of_error: What one wrong result costs, or None while it is open.
    """

    task_type: str
    tasks_per_month: float
    wrong_low: float | None
    wrong_high: float | None
    cost_of_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measured cost and work of an agent.

    Attributes:
        model_per_month: Cost of model calls a month at the present volume, or None while a part of it is unknown.
        model_known_per_month: The known part of it, in the charter's currency.
        model_unknown: What is unknown of it, in words; empty when nothing is.
        cost_per_task: Low and high end of the cost of a finished task, or None.
        types: Volume and wrong results by task type.
    """

    model_per_month: float | None
    model_known_per_month: float
    model_unknown: str
    cost_per_task: tuple[float, float] | None
    types: tuple[TypeVolume, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One input of the return, and how far the return moves between its ends.

    Attributes:
        name: What is assumed.
        swing: Return at its better end minus return at its worse end, a year.
    """

    name: str
    swing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeNumbers:
    """What the decision is about.

    Attributes:
        staying: Cost of staying a pilot, a month.
        investment: Cost of what is still to be done for the last gate, once.
        back: Return a year at the present volume, before the investment; may be negative.
        ratio: (return - investment) / investment in the first year, low and high end; None while unknown, and where
            perhaps nothing has to be invested at all.
        break_even_months: Months until the investment is earned, low and high end; the high end is None when
            the low end of the return never earns it.
        assumptions: Inputs that move the return most, widest first, at most three.
    """

    staying: Money
    investment: Money
    back: Money
    ratio: tuple[float, float] | None
    break_even_months: tuple[float, float | None] | None
    assumptions: tuple[Assumption, ...]


def three_numbers(charter: Charter, measured: Measured, plan: Plan) -> ThreeNumbers:
    """Return the three numbers.

    Args:
        charter: The charter in force: inputs as ranges with sources.
        measured: What telemetry knows.
        plan: What is still to be done, with its cost.
    """
    staying = _staying(charter.business_case.pilot_burn_per_month, measured)
    investment = _investment(charter, plan)
    back, assumptions = _return(charter, measured)
    ratio = months = None
    if investment.high and back.high is not None:
        low, high = investment.low, investment.high
        if low > 0:
            corners = [earned / spent - 1 for earned in (back.low, back.high) for spent in (low, high)]
            ratio = (min(corners), max(corners))
        soonest = 12 * low / back.high if back.high > 0 else None
        months = None if soonest is None else (soonest, 12 * high / back.low if back.low > 0 else None)
    return ThreeNumbers(
        staying=staying,
        investment=investment,
        back=back,
        ratio=ratio,
        break_even_months=months,
        assumptions=assumptions,
    )


def stated_range(value: object, name: str, source: str) -> Money:
    """Return a range that a charter states; unknown, and never zero, while it is open.

    Args:
        value: Low and high end, an open question, or None.
        name: What it is called while it is unknown.
        source: Where it comes from.

    Example:
        >>> stated_range((38, 46), "cost of an hour", "finance").high, stated_range(None, "rate", "").unknown
        (46.0, ('rate',))
    """
    ends = None if is_open(value) or value is None else value
    if not isinstance(ends, tuple):
        return Money(low=0.0, high=None, unknown=(name,))
    low, high = ends
    return Money(low=float(low), high=float(high), sources=(source,))


def _staying(burn: PilotBurn, measured: Measured) -> Money:
    people = stated_range(burn.people, "people", "charter: pilot_burn_per_month.people")
    other = stated_range(burn.other, "other", "charter: pilot_burn_per_month.other")
    if burn.model == "measured":
        cost = measured.model_per_month
        model = Money(
            low=measured.model_known_per_month,
            high=cost,
            sources=("telemetry: model calls of the last 28 days",),
            unknown=() if cost is not None else (measured.model_unknown,),
        )
    else:
        model = stated_range(burn.model, "model", "charter: pilot_burn_per_month.model")
    return people.plus(model).plus(other)


def _investment(charter: Charter, plan: Plan) -> Money:
    total = Money(low=0.0, high=0.0)
    for step in plan.steps:
        if step.cost is None:
            return Money(low=0.0, high=None, unknown=("loaded_hour_cost",))
        low, high = step.cost
        # The work is a guess: half of it at the low end, twice at the high one.
        total = total.plus(Money(low=low * 0.5, high=high * 2, sources=("open steps of `verdict --plan`",)))
    lines = charter.budgets.production.lines
    for name in _ONE_OFF:
        amount = lines if is_open(lines) else lines.get(name, 0.0)
        if is_open(amount):
            total = total.plus(Money(low=0.0, high=None, unknown=(f"budgets.production.lines.{name}",)))
        elif amount:
            total = total.plus(
                Money(low=0.0, high=amount, sources=("charter: production budget, paid once",))
            )
    return total


def _return(charter: Charter, measured: Measured) -> tuple[Money, tuple[Assumption, ...]]:
    case = charter.business_case
    hours = stated_range(
        case.hours_per_task_today.value, "hours_per_task_today", _said(case.hours_per_task_today.source)
    )
    rate = stated_range(case.loaded_hour_cost.value, "loaded_hour_cost", _said(case.loaded_hour_cost.source))
    cost = stated_range(measured.cost_per_task, "cost per task", "telemetry: cost per finished task")
    wrong = _wrong(measured.types)
    yearly = 12 * math.fsum(one.tasks_per_month for one in measured.types)
    parts = (hours, rate, cost, wrong)
    sources = tuple(dict.fromkeys(source for part in parts for source in part.sources))
    unknown = tuple(dict.fromkeys(name for part in parts for name in part.unknown))
    if unknown:
        return Money(low=0.0, high=None, sources=sources, unknown=unknown), ()
    ends = {
        "hours per task today": (hours.low, hours.high or 0.0),
        "cost of an hour": (rate.low, rate.high or 0.0),
        "cost per task of the agent": (cost.low, cost.high or 0.0),
        "wrong results": (wrong.low, wrong.high or 0.0),
    }

    def earned(*inputs: float) -> float:
        saved_hours, hour_cost, task_cost, wrong_cost = inputs
        return yearly * (saved_hours * hour_cost - task_cost) - wrong_cost

    low = earned(hours.low, rate.low, ends["cost per task of the agent"][1], ends["wrong results"][1])
    high = earned(ends["hours per task today"][1], ends["cost of an hour"][1], cost.low, wrong.low)
    middle = [sum(pair) / 2 for pair in ends.values()]
    swings = []
    for number, (name, pair) in enumerate(ends.items()):
        moved = []
        for end in pair:
            inputs = [*middle]
            inputs[number] = end
            moved.append(earned(*inputs))
        swings.append(Assumption(name=name, swing=max(moved) - min(moved)))
    swings.sort(key=lambda one: (-one.swing, one.name))
    return Money(low=low, high=high, sources=sources), tuple(swings[:3])


def _said(source: object) -> str:
    return "charter: source open" if is_open(source) else f"charter: {source}"


def _wrong(types: Sequence[TypeVolume]) -> Money:
    """Return what wrong results cost a year: tasks times rate times cost of one."""
    total = Money(low=0.0, high=0.0, sources=("verified outcomes x cost_of_error",) if types else ())
    for one in types:
        yearly = 12 * one.tasks_per_month
        if one.wrong_low is None or one.wrong_high is None or one.cost_of_error is None:
            total = total.plus(Money(low=0.0, high=None, unknown=(f"wrong results on {one.task_type}",)))
        else:
            cost = yearly * one.cost_of_error
            total = total.plus(Money(low=cost * one.wrong_low, high=cost * one.wrong_high))
    return total
