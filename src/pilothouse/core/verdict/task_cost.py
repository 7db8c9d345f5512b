# SPDX-License-Identifier: Apache-2.0
"""All-in cost of one task: model calls, review and fixed costs, each part by itself."""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.task_measures import PRICED_CURRENCY
from pilothouse.core.verdict.value import DAYS_A_MONTH, Money, stated_range

__all__ = ["CostPart", "Spent", "TaskCost", "task_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What some counted days of an agent cost.

    Attributes:
        days: Calendar days from the first to the last of them.
        tasks: Tasks, at least 1.
        model_usd: Known cost of their model calls, USD.
        unpriced: Tasks whose cost is not known in full.
        reviewed: Items that people decided; None when nobody counted them.
    """

    days: int
    tasks: int
    model_usd: float
    unpriced: int
    reviewed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPart:
    """One part of the cost of a task.

    Attributes:
        name: What it is.
        money: Cost for each task; `high` is None while something is unknown, and `low` is then "at least".
        basis: Where it comes from, with its numbers.
    """

    name: str
    money: Money
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCost:
    """The whole of it.

    Attributes:
        parts: Model calls, review, fixed costs.
        total: Their sum; ends with ends, unknown when a part is.
        tasks: Tasks behind it.
        days: Days behind it.
        currency: Of all amounts.
    """

    parts: tuple[CostPart, ...]
    total: Money
    tasks: int
    days: int
    currency: str


def task_cost(charter: Charter, spent: Spent) -> TaskCost:
    """Return the all-in cost of one task; an unknown part makes the sum unknown, never smaller.

    Args:
        charter: The charter in force: rates as ranges with sources.
        spent: What the last counted days took.
    """
    currency = known(charter.currency) or PRICED_CURRENCY
    parts = (_model(spent, currency), _review(charter, spent), _fixed(charter, spent))
    total = Money(low=0.0, high=0.0)
    for part in parts:
        total = total.plus(part.money)
    return TaskCost(parts=parts, total=total, tasks=spent.tasks, days=spent.days, currency=currency)


def _model(spent: Spent, currency: str) -> CostPart:
    name = "Model calls"
    if currency != PRICED_CURRENCY:
        basis = f"priced in {PRICED_CURRENCY}, and the charter is in {currency}"
        return CostPart(name=name, money=Money(low=0.0, high=None, unknown=(name,)), basis=basis)
    each = spent.model_usd / spent.tasks
    basis = f"telemetry: {spent.model_usd:,.2f} {currency} in {spent.tasks:,} tasks"
    if spent.unpriced:
        basis += f"; of {spent.unpriced:,} the cost is not known in full: `pilothouse price`"
        return CostPart(name=name, money=Money(low=each, high=None, unknown=(name,)), basis=basis)
    return CostPart(name=name, money=Money(low=each, high=each), basis=basis)


def _review(charter: Charter, spent: Spent) -> CostPart:
    name = "Review"
    minutes = known(charter.reviewers.minutes_per_item)
    hour = stated_range(charter.business_case.loaded_hour_cost.value, "cost of an hour", "")
    missing = [
        words
        for words, is_missing in (
            ("nobody counted what people decided", spent.reviewed is None),
            ("`reviewers.minutes_per_item` is open", minutes is None),
            ("`business_case.loaded_hour_cost` is open", hour.high is None),
        )
        if is_missing
    ]
    if spent.reviewed is None or minutes is None or hour.high is None:
        money = Money(low=0.0, high=None, unknown=(name,))
        return CostPart(name=name, money=money, basis="; ".join(missing))
    hours = spent.reviewed * float(minutes) / 60 / spent.tasks
    basis = f"{spent.reviewed:,} items decided, {float(minutes):g} minutes each, an hour costs {hour.low:g} to {hour.high:g}"
    return CostPart(name=name, money=Money(low=hour.low * hours, high=hour.high * hours), basis=basis)


def _fixed(charter: Charter, spent: Spent) -> CostPart:
    name = "Fixed costs"
    burn = charter.business_case.pilot_burn_per_month
    month = stated_range(burn.people, "people", "").plus(stated_range(burn.other, "other", ""))
    share = spent.days / DAYS_A_MONTH / spent.tasks
    if month.high is None:
        basis = f"`business_case.pilot_burn_per_month` is open: {', '.join(month.unknown)}"
        return CostPart(
            name=name, money=Money(low=month.low * share, high=None, unknown=(name,)), basis=basis
        )
    basis = f"charter: people and other, {month.low:,g} to {month.high:,g} a month, over {spent.tasks:,} tasks in {spent.days} days"
    return CostPart(name=name, money=month.times(share, share), basis=basis)
