# SPDX-License-Identifier: Apache-2.0
"""What a task cost, day by day; a day on which some call has no price says so and draws no bar (tasks → picture)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from pilothouse.core.evidence.task import Task
from pilothouse.core.verdict.numbers import significant
from pilothouse.reports.moments import at_ns
from pilothouse.reports.pictures import Trend, trend
from pilothouse.reports.view_models import Frozen
from pilothouse.reports.words import UNKNOWN, plural

__all__ = ["CostDay", "CostTrend", "cost_trend"]

DAYS_MAX = 90
"""Days of one picture: more would be narrower than a pixel on a phone."""


class CostDay(Frozen):
    """One day: its mean cost per task, or why there is none."""

    day: str
    shown: str
    tasks: str


class CostTrend(Frozen):
    """Cost per task over time.

    Attributes:
        title: What is drawn.
        picture: The bars.
        caption: What they rest on.
        days: The same as a table.
    """

    title: str
    picture: Trend
    caption: str
    days: tuple[CostDay, ...]


def cost_trend(tasks: Sequence[Task]) -> CostTrend | None:
    """Return the mean cost of a task on each day, or None when no day is fully priced.

    Args:
        tasks: Tasks of one agent, any order.
    """
    by_day: dict[date, list[Task]] = {}
    for task in tasks:
        by_day.setdefault(at_ns(task.start_ns).date(), []).append(task)
    if not by_day:
        return None
    first, last = max(min(by_day), max(by_day) - timedelta(days=DAYS_MAX - 1)), max(by_day)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    values = [(f"{one.day} {one:%b}", _mean(by_day.get(one, ()))) for one in days]
    rows = tuple(
        CostDay(
            day=f"{one.day} {one:%b %Y}",
            shown=_words(value, by_day.get(one, ())),
            tasks=f"{len(by_day.get(one, ())):,}",
        )
        for one, (_label, value) in zip(days, values, strict=True)
    )
    measured = [value for _label, value in values if value is not None]
    if not measured:
        return None
    unpriced = sum(
        bool(by_day.get(one)) and value is None for one, (_label, value) in zip(days, values, strict=True)
    )
    words = f"Between ${significant(min(measured))} and ${significant(max(measured))} a task; last ${significant(measured[-1])}."
    picture = trend(values, title="Cost per task, by day", bound=None, bound_text="", words=words)
    if picture is None:
        return None
    missing = f" {plural(unpriced, 'day')} with calls that have no price draw no bar." if unpriced else ""
    return CostTrend(
        title="Cost per task, by day",
        picture=picture,
        caption=f"{words} Mean of all tasks of a day; the axis begins at zero.{missing}",
        days=rows,
    )


def _mean(tasks: Sequence[Task]) -> float | None:
    costs = [task.cost_usd for task in tasks]
    known = [float(cost) for cost in costs if cost is not None]
    return sum(known) / len(known) if known and len(known) == len(costs) else None


def _words(value: float | None, tasks: Sequence[Task]) -> str:
    if value is not None:
        return f"${significant(value)}"
    return UNKNOWN if tasks else "no task"
