# SPDX-License-Identifier: Apache-2.0
"""Cost per task, hour by hour, against the same hour of other weeks: the cost monitor over the days that were counted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.statistics.cost import CostAlert, CostLine, CostMonitor
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.ports.watch import WatchStore
from pilothouse.workflows.alerts import rule_for
from pilothouse.workflows.watch_rules import arl_days

__all__ = ["CostLook", "look_at_cost"]

HISTORY_DAYS = 182
"""Half a year: the line comes from the own history from 20 weeks on."""

PER_YEAR = 2.0
"""Alerts a year that history should have raised, where the charter accepts no other number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLook:
    """What the monitor says after a day.

    Attributes:
        line: The score above which an hour raises an alert, or what is missing.
        alerts: Alerts of the day.
        score: Score of the last hour that has one, or None.
        hours: Hours with a known cost.
        unpriced: Tasks of the history whose cost is not known in full.
        per_year: Alerts a year that are accepted.
    """

    line: CostLine | NotEnoughEvidence
    alerts: tuple[CostAlert, ...]
    score: float | None
    hours: int
    unpriced: int
    per_year: float


def look_at_cost(store: WatchStore, charter: Charter, day: date) -> CostLook | None:
    """Look at the costs up to the end of a day; None while no task had a known cost.

    Args:
        store: Where the hours of each day stand.
        charter: The charter in force.
        day: The day, counted.
    """
    first = day - timedelta(days=HISTORY_DAYS - 1)
    spent, tasks = [0.0] * (24 * HISTORY_DAYS), [0] * (24 * HISTORY_DAYS)
    unpriced = 0
    for reading in store.readings(charter.agent, since=first, detector="traffic"):
        if reading.day > day:
            continue
        document = json.loads(reading.document)
        unpriced += document["unpriced"]
        start = 24 * (reading.day - first).days
        for hour, (usd, n) in enumerate(zip(document["usd"], document["priced"], strict=True)):
            spent[start + hour] += usd
            tasks[start + hour] += n
    begin = next((index // 24 * 24 for index, n in enumerate(tasks) if n), None)
    if begin is None:
        return None
    spent, tasks = spent[begin:], tasks[begin:]
    # An hour of free tasks is a cost the monitor has no logarithm of: it says nothing, like an hour without tasks.
    tasks = [n if usd > 0 else 0 for usd, n in zip(spent, tasks, strict=True)]
    mean = [usd / n if n else 0.0 for usd, n in zip(spent, tasks, strict=True)]
    rule = rule_for(charter, "cost_per_task", None)
    per_year = PER_YEAR if rule is None or rule.false_alarms_per_year is None else 365.0 / arl_days(rule)
    monitor = CostMonitor(per_year=per_year)
    line = monitor.calibrate(mean[:-24], tasks[:-24])
    if isinstance(line, NotEnoughEvidence):
        return CostLook(
            line=line,
            alerts=(),
            score=None,
            hours=sum(map(bool, tasks)),
            unpriced=unpriced,
            per_year=per_year,
        )
    reading_now = monitor.read(mean, tasks, line)
    return CostLook(
        line=line,
        alerts=tuple(one for one in reading_now.alerts if one.hour >= len(mean) - 24),
        score=reading_now.score,
        hours=sum(map(bool, tasks)),
        unpriced=unpriced,
        per_year=per_year,
    )
