# SPDX-License-Identifier: Apache-2.0
"""Exactly the worlds of `watch_worlds`, task by task and coin by coin, without lake, queue, ledger and tick.

The same seed has the same tasks, verdicts and coins, so every day has the same counts and the same evidence as through the
product: `test_watch_counts.py` holds one against the other. What takes minutes there takes a tenth of a second here, so the
delays of a whole product are known as a distribution and not from three of them.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from pilothouse.core.charter.charter import Charter
from pilothouse.workflows.review.label_rates import WINDOW
from pilothouse.workflows.review.second_opinions import coin
from pilothouse.workflows.watch.labels import Tally
from simulation.watch_stream import NAMES, Stream, World
from simulation.watch_worlds import (
    AGENT,
    FIRST,
    QUALITY,
    RATES_AT,
    SE,
    SP,
    Simulation,
    begins_ns,
    day_of_tasks,
    trace_of,
)

__all__ = ["Counted", "after_a_month", "counts_of", "delay"]

MONTH = 30


@dataclass
class Counted(Stream):
    """One agent whose tasks are those of `watch_worlds.Simulation`."""

    tasks: int = 10_000
    tallies: list[dict[str, Tally]] = field(default_factory=list)

    def _day(self, theta: float, se: float, sp: float) -> tuple[dict[str, float], dict[str, Tally]]:
        good, judged, passed = day_of_tasks(self.rng, self.tasks, theta, se, sp)
        found = np.flatnonzero(judged)
        good, passed = good[found], passed[found]
        chances = self._chances_of(found, passed)
        salt = f"{AGENT} {self.day}"
        coins = np.array([coin(trace_of(self.day, number), salt) for number in found.tolist()])
        drawn = coins < np.where(passed, chances["pass"], chances["fail"])
        tallies = {}
        for name, mine in zip(NAMES, (passed, ~passed), strict=True):
            labelled = int((mine & drawn).sum())
            tallies[name] = (int(mine.sum()), labelled, labelled, int((mine & drawn & good).sum()))
        self.tallies.append(tallies)
        return chances, tallies

    def _chances_of(self, found: np.ndarray, passed: np.ndarray) -> dict[str, float]:
        week = list(self.month)[-WINDOW.days :]
        if week:
            return self._chances(sum(one[0] for day in week for one in day.values()) / len(week))
        # On the first day the volume is guessed from the hours before the rates are fixed, scores of which are there.
        two_seconds = timedelta(seconds=2)
        until = (RATES_AT - two_seconds) / timedelta(microseconds=1) * 1_000
        early = np.array([begins_ns(self.tasks, number) < until for number in found.tolist()])
        first = {"pass": int((early & passed).sum()), "fail": int((early & ~passed).sum())}
        return self._chances(sum(first.values()) * (timedelta(days=1) / RATES_AT), first=first)


def counts_of(agent: Simulation) -> tuple[list[dict[str, Tally]], list[float]]:
    """What the product's watch kept of each day: the counts by verdict, and the evidence."""
    said = agent.watch.room.watch.readings(AGENT, since=FIRST, detector="quality")
    found = [json.loads(one.document) for one in said]
    tallies = [{name: tuple(tally) for name, tally in one["tallies"].items()} for one in found]
    return tallies, [one["e"] for one in found]


def after_a_month(charter: Charter, seed: int, *, tasks: int = 10_000) -> Counted:
    """The quiet month of `benchmarks/watch/run.py` with this seed."""
    agent = Counted(charter=charter, rng=np.random.default_rng(seed), tasks=tasks)
    agent.run(lambda _t: (QUALITY, SE, SP), MONTH)
    return agent


def delay(month: Counted, world: World, seed: int, days: int = 40) -> float:
    """Days to the alarm in a world that follows a month, as `benchmarks/watch/run.py` lives it; infinity for never."""
    agent = deepcopy(month)
    agent.rng = np.random.default_rng(1_000 + seed)
    return agent.until_alarm(world, days)
