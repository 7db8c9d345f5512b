# SPDX-License-Identifier: Apache-2.0
"""Detect unusual cost per task: by hours where there are many tasks, by days where there are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import (
    Floats,
    check_count,
    check_fraction,
    check_same_length,
    count_array,
    finite_array,
)
from pilothouse.core.statistics.cost_windows import (
    REFERENCE_MIN,
    TASKS_MIN,
    CostWindow,
    ScoredCosts,
    mask_of,
    score_costs,
)
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = ["HOURS_MAX", "WEEKS_MIN", "CostAlert", "CostLine", "CostMonitor", "CostReading"]

HOURS_MAX = 87_660
"""Hours in one call: ten years."""

WEEKS_MIN = 20
"""Weeks of history from which the line of hours comes from it; a fixed line before that raised four alarms a year."""

_SCORED_MIN = 100
"""Hours with a score below which there is no monitor: their highest two in a hundred are the line."""

_LINE_MIN = 4.0
_HIGH_QUANTILE = 0.98
_HOURS_PER_YEAR = 8_766

_DAY_LINE, _DAY_LINE_AT, _DAY_LINE_SLOPE, _DAY_LINE_MIN = 4.0, 2.0, 0.75, 2.5
"""Line of days at two alarms a year, and how much higher it is for a promise smaller by a factor e (simulation 21)."""

_REFRACTORY_WINDOWS = 7
"""Windows after an alert by days without another one, so that a lasting rise is told two or three times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """The score above which a window raises an alert.

    Attributes:
        line: The score.
        weeks: Weeks of history behind it.
        n: Windows behind it: scored hours, or days with what was pooled into them.
        guarantee: What may be believed, one sentence.
    """

    line: float
    weeks: int
    n: int
    guarantee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlert:
    """A window in which cost rose.

    Attributes:
        position: Position in the series that was given, from 0, at which the window ends.
        begins: Position at which it begins.
        since: Position since which no score has been below what is usual.
        score: Its score.
        cost_usd: Cost per task of the window: the mean of an hour, the geometric mean of days.
        usual_usd: What it usually is.
    """

    position: int
    begins: int
    since: int
    score: float
    cost_usd: float
    usual_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReading:
    """Alerts in a series and what is known about its last window.

    Attributes:
        alerts: At most one for each refractory time, oldest first.
        score: Score of the last window that has one, or None.
        line: The line they were held against.
        n: Windows that have a score.
        guarantee: What may be believed, one sentence.
        spread: By days, spread of the log costs that the next window is held against, or None.
        stride: Positions that a window takes on average, or None before the first.
        linked: By days, how many times the line the smoothed rise must reach because days hang together, at least 1.
    """

    alerts: tuple[CostAlert, ...]
    score: float | None
    line: float
    n: int
    guarantee: str
    spread: float | None
    stride: float | None
    linked: float = 1.0


@dataclass(frozen=True, slots=True)
class CostMonitor:
    """Median of what is usual, scale and smoothing of log cost; by hours the threshold comes from the own history.

    No theorem stands behind its false alarms, only the history and simulations: single expensive tasks are a matter
    for budgets, not for this monitor.

    Attributes:
        per_year: Alerts a year that history should have raised, above 0.
        window: What costs are compared by; each position of a series is one hour or one day.
        season_hours: Length of the season; 168 is a week. By days what comes back every week widens the scale.
        refractory_hours: Hours after an alert by hours without another one; seven windows by days.

    Source:
        Roberts 1959 (smoothing); Pickands 1975 (peaks over a threshold).
    """

    per_year: float = 2.0
    window: CostWindow = CostWindow.HOUR
    season_hours: int = 168
    refractory_hours: int = 12

    def __post_init__(self) -> None:
        check_fraction("per_year", self.per_year, 0.0, 1e4)
        check_count("season_hours", self.season_hours, least=1, most=8_784)
        check_count("refractory_hours", self.refractory_hours, least=1, most=8_784)

    def calibrate(
        self,
        cost_usd: Sequence[float] | NDArray[np.generic],
        tasks: Sequence[int] | NDArray[np.generic],
        excluded: Sequence[int] = (),
    ) -> CostLine | NotEnoughEvidence:
        """Find the line from history.

        Args:
            cost_usd: Cost per task of each hour (its mean) or day (its geometric mean), oldest first, without gaps.
            tasks: Tasks of each of them; with 0 tasks the cost is ignored.
            excluded: What the charter's calendar leaves out (holidays, launches), as positions.

        Returns:
            The line. By hours: how many weeks are missing below 20, and how many scored hours where tasks are so few that
            hardly an hour can be held against the same hour of other weeks. By days: how many windows are missing below 14.

        Raises:
            MalformedRecord: A cost that is not above 0, unequal lengths, or a position outside.
            LimitExceeded: More hours than `HOURS_MAX` are refused as malformed.

        Example:
            >>> monitor = CostMonitor()
            >>> monitor.calibrate([0.02] * 800, [100] * 800).reason
            '4 weeks of history are too few'
            >>> CostMonitor(window=CostWindow.DAY).calibrate([0.02] * 20, [10] * 20).reason
            'only 10 of 14 windows are over: a day, or as many days as 20 tasks take'
        """
        scored = self._score(cost_usd, tasks, excluded)
        sentence = METHODS[MethodId.COST_MONITOR].sentence.replace("two", f"{self.per_year:g}")
        guarantee = METHODS[MethodId.COST_MONITOR].sentence if self.per_year == 2 else sentence
        if self.window is CostWindow.DAY:
            return self._day_line(scored, guarantee)
        weeks = len(scored.scores) // 168
        if weeks < WEEKS_MIN:
            return NotEnoughEvidence(
                reason=f"{weeks} weeks of history are too few", have=weeks, need=WEEKS_MIN, unit="weeks",
                remedy=f"Wait for {WEEKS_MIN - weeks} more weeks, or import older traces.",
            )  # fmt: skip
        known = scored.scores[~np.isnan(scored.scores)]
        if len(known) < _SCORED_MIN:
            return NotEnoughEvidence(
                reason=f"only {len(known)} hours of {weeks} weeks can be held against the same hour of other weeks",
                have=len(known), need=_SCORED_MIN, unit="scored hours",
                remedy=f"An hour needs {TASKS_MIN} tasks, with those of thin hours before it, in three of six weeks.",
            )  # fmt: skip
        return CostLine(line=self._line(scored.scores, known), weeks=weeks, n=len(known), guarantee=guarantee)

    def read(
        self,
        cost_usd: Sequence[float] | NDArray[np.generic],
        tasks: Sequence[int] | NDArray[np.generic],
        line: CostLine,
        excluded: Sequence[int] = (),
        *,
        first: date | None = None,
    ) -> CostReading:
        """Find the alerts of a series up to now, of at least the last 9 weeks.

        Args:
            cost_usd: As for `calibrate`.
            tasks: As for `calibrate`.
            line: From `calibrate`.
            excluded: As for `calibrate`.
            first: By days, the day of the first position; None where nobody knows it, and then dear ends of months are news
                every month.

        Returns:
            The alerts; windows without enough history have no score and raise none.

        Raises:
            MalformedRecord: As `calibrate`.

        Example:
            >>> monitor = CostMonitor()
            >>> costs = [0.020 + 0.001 * (h % 7) for h in range(4000)] + [0.040] * 12
            >>> line = monitor.calibrate(costs[:4000], [100] * 4000)
            >>> [a.position for a in monitor.read(costs, [100] * 4012, line).alerts]
            [4001]
        """
        scored = self._score(cost_usd, tasks, excluded, first)
        by_hour = self.window is CostWindow.HOUR
        refractory = self.refractory_hours if by_hour else _REFRACTORY_WINDOWS
        alerts: list[CostAlert] = []
        last = -refractory
        for position in np.flatnonzero(scored.scores > line.line).tolist():
            place = position if by_hour else int(np.searchsorted(scored.ends, position))
            if place - last >= refractory:
                last = place
                alerts.append(
                    CostAlert(
                        position=position,
                        begins=int(scored.begins[position]),
                        since=scored.risen(position),
                        score=float(scored.scores[position]),
                        cost_usd=float(scored.cost[position]),
                        usual_usd=float(scored.usual[position]),
                    )
                )
        known = np.flatnonzero(~np.isnan(scored.scores))
        return CostReading(
            alerts=tuple(alerts),
            score=float(scored.scores[known[-1]]) if len(known) else None,
            line=line.line,
            n=len(known),
            guarantee=line.guarantee,
            spread=scored.spread,
            stride=scored.stride,
            linked=scored.linked,
        )

    def _score(
        self,
        cost_usd: Sequence[float] | NDArray[np.generic],
        tasks: Sequence[int] | NDArray[np.generic],
        excluded: Sequence[int],
        first: date | None = None,
    ) -> ScoredCosts:
        positions = check_same_length(cost_usd=cost_usd, tasks=tasks)
        check_count("hours", positions, most=HOURS_MAX)
        cost, counts = finite_array("cost_usd", cost_usd), count_array("tasks", tasks)
        return score_costs(
            self.window, cost, counts, mask_of(excluded, positions), season=self.season_hours, first=first
        )

    def _day_line(self, scored: ScoredCosts, guarantee: str) -> CostLine | NotEnoughEvidence:
        """One line for every agent, by the promise alone: a few dozen windows have no tail of their own to find it in."""
        windows = len(scored.ends)
        if windows < REFERENCE_MIN:
            return NotEnoughEvidence(
                reason=f"only {windows} of {REFERENCE_MIN} windows are over: a day, or as many days as {TASKS_MIN} tasks take",
                have=windows, need=REFERENCE_MIN, unit="windows",
                remedy=f"Wait for {REFERENCE_MIN - windows} more, or for more tasks a day.",
            )  # fmt: skip
        line = _DAY_LINE + _DAY_LINE_SLOPE * math.log(_DAY_LINE_AT / self.per_year)
        return CostLine(
            line=max(line, _DAY_LINE_MIN), weeks=len(scored.scores) // 7, n=windows, guarantee=guarantee
        )

    def _line(self, scores: Floats, known: Floats) -> float:
        """U + beta ln(rho / per_year) from declustered peaks above the 98 % quantile."""
        high = float(np.quantile(known, _HIGH_QUANTILE))
        peaks: list[float] = []
        last = -math.inf
        for hour in np.flatnonzero(scores > high).tolist():
            if hour - last >= self.refractory_hours:
                peaks.append(float(scores[hour]))
            else:
                peaks[-1] = max(peaks[-1], float(scores[hour]))
            last = hour
        if not peaks:
            return _LINE_MIN
        yearly = len(peaks) / (len(known) / _HOURS_PER_YEAR)
        excess = float(np.mean(peaks)) - high
        return max(_LINE_MIN, high + excess * math.log(max(yearly / self.per_year, 1.0)))
