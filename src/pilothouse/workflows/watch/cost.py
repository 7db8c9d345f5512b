# SPDX-License-Identifier: Apache-2.0
"""Cost per task over the days that were counted: by hours where there are many tasks, by days where there are few."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.statistics.cost import CostAlert, CostLine, CostMonitor, CostReading
from pilothouse.core.statistics.cost_windows import CostWindow, window_starts, windows_until
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import significant
from pilothouse.ports.watch import WatchStore
from pilothouse.workflows.incidents.alerts import rule_for
from pilothouse.workflows.watch.rules import arl_days

__all__ = ["HISTORY_DAYS", "HOURLY_DELAY_DAYS", "CostLook", "CostRise", "cost_document", "look_at_cost"]

HISTORY_DAYS = 182
"""Half a year: the line of hours needs 20 weeks."""


@dataclass(slots=True, kw_only=True)
class _Spent:
    """Costs of days in a row, of which the first has a task with a known cost.

    Attributes:
        first: The first day.
        usd: Cost of each hour, 24 a day.
        priced: Tasks of each hour whose cost is known.
        log_usd: Sum of the logarithms of the costs of each day.
        paid: Tasks of each day behind it.
        unpriced: Tasks of each day whose cost is not known in full.
    """

    first: date
    usd: list[float]
    priced: list[int]
    log_usd: list[float]
    paid: list[int]
    unpriced: list[int]

    @property
    def days(self) -> list[date]:
        """Its days."""
        return [self.first + timedelta(days=index) for index in range(len(self.paid))]

    @property
    def tasks(self) -> list[int]:
        """Tasks of each day whose cost is known."""
        return [sum(self.priced[24 * index : 24 * (index + 1)]) for index in range(len(self.paid))]

    @property
    def next_first(self) -> date:
        """Where the series of the next look begins: half a year back at the first window that begins there.

        Windows of several days are cut from the first day on. Were the oldest day dropped each day, every window would be
        another one on each day, and each task be looked at in several of them.
        """
        late = len(self.paid) - HISTORY_DAYS
        starts = [one for one in window_starts(self.paid) if one >= late]
        return self.first if late <= 0 else self.days[starts[0] if starts else late]

    def series(self, window: CostWindow) -> tuple[list[float], list[int]]:
        """Return cost per task and tasks of each position.

        Args:
            window: What costs are compared by.
        """
        if window is CostWindow.DAY:
            typical = (logs / n if n else None for logs, n in zip(self.log_usd, self.paid, strict=True))
            return [0.0 if one is None else math.exp(one) for one in typical], self.paid
        # An hour of free tasks is a cost the monitor has no logarithm of: it says nothing, like an hour without tasks.
        tasks = [n if usd > 0 else 0 for usd, n in zip(self.usd, self.priced, strict=True)]
        return [usd / n if n else 0.0 for usd, n in zip(self.usd, tasks, strict=True)], tasks


HOURLY_TASKS_PER_DAY = 480
"""Tasks on a usual day from which hours are compared, as soon as they can be: 20 in each. With fewer a whole day says more."""

LATELY_DAYS = 28
"""Days by which an agent is judged to have many tasks or few, and costs that are known or not."""

KNOWN_MIN = 0.5
"""Share of the tasks of these days whose cost is known, below which nobody watches the cost."""

PER_YEAR = 2.0
"""Alerts a year that history should have raised, where the charter accepts no other number."""

NOTICED_RISE = 2.0
"""The lasting rise for which it is said how soon days notice it, in multiples of what is usual; of hours see below."""

HOURLY_DELAY_DAYS = 1 + 3 / 24
"""Hours of a day are looked at when it is over; median hours until half as much again is noticed: simulation 17."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRise:
    """An alert with the days that it speaks of.

    Attributes:
        begins: First day of its window.
        until: Last day of its window.
        risen: Day since which no score was below what is usual.
        alert: What the monitor says.
    """

    begins: date
    until: date
    risen: date
    alert: CostAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLook:
    """What the monitor says after a day.

    Attributes:
        window: What costs are compared by.
        line: The score above which a window raises an alert, or what is missing.
        alerts: Alerts of the days that were looked at for the first time, oldest first.
        score: Score of the last window that has one, or None.
        windows: Windows that the line rests on; hours with a known cost.
        unpriced: Tasks of the history whose cost is not known in full.
        per_year: Alerts a year that are accepted.
        noticed_days: Days until a lasting rise (twice by days, half as much again by hours) is noticed, the counting of the
            day left out; None for never or while there is no line.
        next_first: The first day of the series of the next look.
    """

    window: CostWindow
    line: CostLine | NotEnoughEvidence
    alerts: tuple[CostRise, ...]
    score: float | None
    windows: int
    unpriced: int
    per_year: float
    noticed_days: float | None
    next_first: date


def look_at_cost(
    store: WatchStore, charter: Charter, day: date, *, since: date | None = None, first: date | None = None
) -> CostLook | None:
    """Look at the costs up to the end of a day; None while no task had a known cost.

    Args:
        store: Where the hours of each day stand.
        charter: The charter in force.
        day: The day, counted.
        since: The first day that was not looked at yet; None for the day alone.
        first: `next_first` of the look before; None where there was none.
    """
    spent = _read_spent(store, charter.agent, day, first)
    if spent is None:
        return None
    days = spent.days
    new = min((day - (since or day)).days + 1, len(days))
    rule = rule_for(charter, "cost_per_task", None)
    per_year = PER_YEAR if rule is None or rule.false_alarms_per_year is None else 365.0 / arl_days(rule)
    window, line = _line(spent, new, per_year)
    alerts: list[CostRise] = []
    reading: CostReading | None = None
    if isinstance(line, CostLine):
        to_day = 24 if window is CostWindow.HOUR else 1
        reading = CostMonitor(per_year=per_year, window=window).read(
            *spent.series(window), line, first=spent.first
        )
        for one in reading.alerts:
            begins, until, risen = (days[at // to_day] for at in (one.begins, one.position, one.since))
            if (day - until).days < new:
                alerts.append(CostRise(begins=begins, until=until, risen=risen, alert=one))
    hours = sum(map(bool, spent.series(CostWindow.HOUR)[1]))
    return CostLook(
        window=window,
        line=line,
        alerts=tuple(alerts),
        score=None if reading is None else reading.score,
        windows=line.n if window is CostWindow.DAY and isinstance(line, CostLine) else hours,
        unpriced=sum(spent.unpriced),
        per_year=per_year,
        noticed_days=None if reading is None else _noticed_days(window, reading),
        next_first=spent.next_first,
    )


def cost_document(look: CostLook, rise: CostRise | None = None) -> dict[str, Any]:
    """Return what a reading keeps of a look.

    Args:
        look: The look.
        rise: The alert that the reading is about, or None where it is quiet.
    """
    missing = look.line.reason if isinstance(look.line, NotEnoughEvidence) else ""
    line = None if isinstance(look.line, NotEnoughEvidence) else look.line.line
    document: dict[str, Any] = {
        "window": look.window.value,
        "line": line,
        "score": look.score,
        "n": look.windows,
        "unpriced": look.unpriced,
        "per_year": look.per_year,
        "noticed_days": look.noticed_days,
        "missing": missing,
    }
    if rise is not None and line is not None:
        document |= {"score": rise.alert.score, "risen": rise.risen.isoformat()}
        document["sentence"] = _sentence(look.window, rise, line)
    return document


def _sentence(window: CostWindow, rise: CostRise, line: float) -> str:
    one = rise.alert
    cost, usual = significant(one.cost_usd), significant(one.usual_usd)
    score = f"score {one.score:.1f} against {line:.1f}"
    if window is CostWindow.HOUR:
        return (
            f"A task cost {cost} USD on {calendar_day(rise.until)} at {one.position % 24:02d}:00 UTC where this hour usually "
            f"costs {usual}; {score}."
        )
    when = (
        f"on {calendar_day(rise.until)}"
        if rise.begins == rise.until
        else f"from {calendar_day(rise.begins)} to {calendar_day(rise.until)}"
    )
    return f"A typical task cost {cost} USD {when} where it usually costs {usual}; {score}."


def _line(spent: _Spent, new: int, per_year: float) -> tuple[CostWindow, CostLine | NotEnoughEvidence]:
    """Hours where a usual day has the tasks for it and enough hours can be compared; days elsewhere and before."""
    lately, unknown = spent.tasks[-LATELY_DAYS:], sum(spent.unpriced[-LATELY_DAYS:])
    if not sum(lately) and not unknown:
        missing = NotEnoughEvidence(
            reason=f"no task came in the last {LATELY_DAYS} days", have=0, need=1, unit="tasks with a known cost",
            remedy="Nothing to do until the agent works again.",
        )  # fmt: skip
        return CostWindow.DAY, missing
    if unknown * KNOWN_MIN > sum(lately) * (1 - KNOWN_MIN):
        missing = NotEnoughEvidence(
            reason=f"the cost of {unknown:,} of {sum(lately) + unknown:,} tasks of the last {LATELY_DAYS} days is not known: "
            "`pilothouse price` sets prices",
            have=sum(lately), need=math.ceil(KNOWN_MIN * (sum(lately) + unknown)), unit="tasks with a known cost",
            remedy="Set the prices of the models that answered.",
        )  # fmt: skip
        return CostWindow.DAY, missing
    if median([n for n in lately if n] or [0]) >= HOURLY_TASKS_PER_DAY:
        cost, tasks = spent.series(CostWindow.HOUR)
        line = CostMonitor(per_year=per_year).calibrate(cost[: -24 * new], tasks[: -24 * new])
        if isinstance(line, CostLine):
            return CostWindow.HOUR, line
    # The line of days comes from the promise, so the days that are new may count among its windows.
    daily = CostMonitor(per_year=per_year, window=CostWindow.DAY)
    return CostWindow.DAY, daily.calibrate(*spent.series(CostWindow.DAY))


def _noticed_days(window: CostWindow, reading: CostReading) -> float | None:
    if window is CostWindow.HOUR:
        return HOURLY_DELAY_DAYS
    if reading.spread is None or reading.stride is None:
        return None
    windows = windows_until(NOTICED_RISE, reading.spread, reading.line * reading.linked)
    return None if windows is None else windows * reading.stride


def _read_spent(store: WatchStore, agent: str, day: date, first: date | None) -> _Spent | None:
    """Return what was spent up to a day; None while no task had a known cost.

    Args:
        store: Where the counted days stand.
        agent: Agent id.
        day: The last day.
        first: The first day, as the look before said; None for half a year back.
    """
    start = first or day - timedelta(days=HISTORY_DAYS - 1)
    count = (day - start).days + 1
    spent = _Spent(
        first=start,
        usd=[0.0] * (24 * count),
        priced=[0] * (24 * count),
        log_usd=[0.0] * count,
        paid=[0] * count,
        unpriced=[0] * count,
    )
    for reading in store.readings(agent, since=start, detector="traffic"):
        if reading.day > day:
            continue
        document = json.loads(reading.document)
        index = (reading.day - start).days
        spent.unpriced[index] += document["unpriced"]
        # Days that were counted by an older version do not say what their typical task cost.
        spent.log_usd[index] += document.get("log_usd", 0.0)
        spent.paid[index] += document.get("paid", 0)
        for hour, (usd, n) in enumerate(zip(document["usd"], document["priced"], strict=True)):
            spent.usd[24 * index + hour] += usd
            spent.priced[24 * index + hour] += n
    begin = next((index for index, tasks in enumerate(spent.tasks) if tasks), None)
    if begin is None:
        return None
    return _Spent(
        first=spent.days[begin],
        usd=spent.usd[24 * begin :],
        priced=spent.priced[24 * begin :],
        log_usd=spent.log_usd[begin:],
        paid=spent.paid[begin:],
        unpriced=spent.unpriced[begin:],
    )
