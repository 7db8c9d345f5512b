# SPDX-License-Identifier: Apache-2.0
"""The watch's own code fed with counts instead of tasks: hundreds of months in the time of one end-to-end world.

What is left out is what carries counts about (lake, queue, ledger, tick); `watch_worlds` has all of it. Allocation, draw
rates, the judge's warning, the baseline, the detector and its alarm are the functions that the tick calls.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from pilothouse.core.charter.charter import Charter
from pilothouse.workflows.review.label_rates import (
    LABEL_WINDOW,
    WINDOW,
    capacity_per_day,
    label_chances,
    label_window,
    labels_per_day,
)
from pilothouse.workflows.watch.effects import Burst, next_burst
from pilothouse.workflows.watch.judge import BURST_TIMES, JUDGE, JudgeState, judge_errors, look_at_judge
from pilothouse.workflows.watch.labels import LabelledDay, Tally, pooled
from pilothouse.workflows.watch.quality import SUSPICION, QualityState, look_at_labels

TYPE = "po_invoice"
NAMES = ("pass", "fail")
FIRST = date(2026, 1, 1)

World = Callable[[int], tuple[float, float, float]]
"""Day → true quality, sensitivity and specificity of the judge."""


@dataclass
class Stream:
    """One agent with one task type, day by day."""

    charter: Charter
    rng: np.random.Generator
    judged: int = 300
    quality: QualityState = field(default_factory=QualityState)
    judge: JudgeState = field(default_factory=JudgeState)
    month: deque = field(default_factory=lambda: deque(maxlen=LABEL_WINDOW.days))
    bought: list[Burst] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    labels: int = 0
    day: date = FIRST

    def live(self, theta: float, se: float, sp: float) -> bool:
        """Let one day pass; return whether the incident about quality is opened."""
        chances, tallies = self._day(theta, se, sp)
        self.labels += sum(one[2] for one in tallies.values())
        self.month.append(tallies)
        self._warn(tallies)
        self.quality, look = look_at_labels(
            self.charter,
            TYPE,
            self.quality,
            self.day,
            LabelledDay(tallies=tallies, rates=chances, bad=()),
            arl_days=365.0,
            detectors=1,
        )
        self.evidence.append(look.e_value)
        if look.suspected:
            self._buy(SUSPICION)
        self.day += timedelta(days=1)
        return look.alarm

    @property
    def bursts(self) -> int:
        """Bursts that the judge bought."""
        return sum(one.by == JUDGE for one in self.bought)

    @property
    def suspected(self) -> int:
        """Days of labels that the labels themselves bought."""
        return sum(one.by == SUSPICION for one in self.bought)

    def run(self, world: World, days: int) -> list[int]:
        """Let days pass; return on which of them (from 1) an alarm was raised."""
        return [number + 1 for number in range(days) if self.live(*world(number))]

    def until_alarm(self, world: World, days: int) -> float:
        """Let days pass up to the first alarm; return after how many, infinity for never."""
        return next((number + 1 for number in range(days) if self.live(*world(number))), math.inf)

    def _day(self, theta: float, se: float, sp: float) -> tuple[dict[str, float], dict[str, Tally]]:
        """Chances of a label and what was drawn, by verdict."""
        chances = self._chances(self.judged)
        cells = self.rng.multinomial(
            self.judged, [theta * se, (1 - theta) * (1 - sp), theta * (1 - se), (1 - theta) * sp]
        )
        tallies = {}
        for index, name in enumerate(NAMES):
            good, bad = cells[2 * index : 2 * index + 2]
            drawn_good = int(self.rng.binomial(good, chances[name]))
            drawn = drawn_good + int(self.rng.binomial(bad, chances[name]))
            tallies[name] = (int(good + bad), drawn, drawn, drawn_good)
        return chances, tallies

    def _chances(self, per_day: float, *, first: dict[str, int] | None = None) -> dict[str, float]:
        """Chances of the next day by the judged tasks of the last week, or by those of its own first hours."""
        usual, capacity = labels_per_day(self.charter, TYPE, per_day), capacity_per_day(self.charter)
        is_burst = any(one.first <= self.day <= one.last for one in self.bought[-2:])
        bought = int(min(BURST_TIMES * usual, capacity)) if is_burst else None
        days, none = list(self.month), dict.fromkeys(NAMES, (0,) * 4)
        judged = first or {one.name: one.judged for one in pooled([none, *days[-WINDOW.days :]])}
        labelled = {one.name: (one.labelled, one.good) for one in pooled([none, *days])}
        window = label_window(judged, labelled)
        return label_chances(self.charter, TYPE, window, per_day, bought=bought, capacity=capacity)

    def _warn(self, tallies: dict[str, Tally]) -> None:
        errors, judged = judge_errors(self.quality), sum(one[0] for one in tallies.values())
        self.judge, bought, _ = look_at_judge(
            self.judge,
            self.day,
            judged,
            tallies["pass"][0],
            j=0.0 if errors is None else sum(errors) - 1,
            labels=labels_per_day(self.charter, TYPE, judged),
            capacity=int(capacity_per_day(self.charter)),
        )
        if bought is not None:
            self._buy(JUDGE)

    def _buy(self, by: str) -> None:
        burst = next_burst(self.bought, by, self.day + timedelta(days=1))
        if burst is not None:
            self.bought.append(burst)
