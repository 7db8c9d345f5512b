# SPDX-License-Identifier: Apache-2.0
"""What the tasks of each counted day cost, as a series of hours or of days."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date, timedelta

from pilothouse.core.statistics.cost_windows import CostWindow, window_starts
from pilothouse.ports.watch import WatchStore

__all__ = ["HISTORY_DAYS", "Spent", "read_spent"]

HISTORY_DAYS = 182
"""Half a year: the line of hours needs 20 weeks."""


@dataclass(slots=True, kw_only=True)
class Spent:
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


def read_spent(store: WatchStore, agent: str, day: date, first: date | None) -> Spent | None:
    """Return what was spent up to a day; None while no task had a known cost.

    Args:
        store: Where the counted days stand.
        agent: Agent id.
        day: The last day.
        first: The first day, as the look before said; None for half a year back.
    """
    start = first or day - timedelta(days=HISTORY_DAYS - 1)
    count = (day - start).days + 1
    spent = Spent(
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
    return Spent(
        first=spent.days[begin],
        usd=spent.usd[24 * begin :],
        priced=spent.priced[24 * begin :],
        log_usd=spent.log_usd[begin:],
        paid=spent.paid[begin:],
        unpriced=spent.unpriced[begin:],
    )
