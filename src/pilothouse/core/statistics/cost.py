# SPDX-License-Identifier: Apache-2.0
"""Notice hours in which a task costs more than at this hour of other weeks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import (
    Floats,
    check_count,
    check_fraction,
    check_same_length,
    count_array,
    finite_array,
    malformed,
)
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.rolling import lagged, median_of_rows, window_before

__all__ = ["HOURS_MAX", "TASKS_MIN", "WEEKS_MIN", "CostAlert", "CostLine", "CostMonitor", "CostReading"]

HOURS_MAX = 87_660
"""Hours in one call: ten years."""

TASKS_MIN = 20
"""Tasks below which an hour is pooled into the next."""

WEEKS_MIN = 8
"""Weeks of history: six for the season, two for the scale."""

_WEEKS_OWN = 20
"""Weeks of history from which the threshold comes from it."""

_SEASONS, _SEASONS_MIN = 6, 3
_SCALE_HOURS = 336
"""Two weeks before, for the scale."""

_SCALE_HOURS_MIN = 100
_SCORED_MIN = 100
"""Hours with a score below which there is no monitor: their highest two in a hundred are the line."""

_CLIP = 6.0
"""Largest single z: one strange hour alone raises no alarm."""

_SMOOTHING = 0.25
_FIXED_LINE, _LINE_MIN = 5.5, 4.0
_HIGH_QUANTILE = 0.98
_HOURS_PER_YEAR = 8_766


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """The score above which an hour raises an alert.

    Attributes:
        line: The score.
        weeks: Weeks of history behind it.
        n: Scored hours behind it.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    line: float
    weeks: int
    n: int
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlert:
    """An hour at which cost rose.

    Attributes:
        hour: Position in the series that was given, from 0.
        score: Its score.
        cost_usd: Mean cost per task of the hour, with what was pooled into it.
        usual_usd: Cost that this hour of the week usually has.
    """

    hour: int
    score: float
    cost_usd: float
    usual_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReading:
    """Alerts in a series and what is known about its last hour.

    Attributes:
        alerts: At most one for each refractory time, oldest first.
        score: Score of the last hour that has one, or None.
        line: The line they were held against.
        n: Hours that have a score.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    alerts: tuple[CostAlert, ...]
    score: float | None
    line: float
    n: int
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scored:
    scores: Floats
    cost: Floats
    usual: Floats


@dataclass(frozen=True, slots=True)
class CostMonitor:
    """Seasonal median, robust scale and smoothing of log cost; threshold from the own history.

    No theorem stands behind its false alarms, only the history: single expensive tasks are a matter
    for budgets, not for this monitor.

    Attributes:
        per_year: Alerts a year that history should have raised, above 0.
        season_hours: Length of the season; 168 is a week.
        refractory_hours: Hours after an alert without another one.

    Source:
        Roberts 1959 (smoothing); Pickands 1975 (peaks over a threshold).
    """

    per_year: float = 2.0
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
            cost_usd: Mean cost per task of each hour, oldest first, without gaps, shape (hours,).
            tasks: Tasks of each hour, shape (hours,); with 0 tasks the cost is ignored.
            excluded: Hours of the charter's calendar (holidays, launches), as positions.

        Returns:
            The line; below 20 weeks a fixed one with a note; how many weeks are missing below 8, and how many scored hours
            where tasks are so few that hardly an hour can be held against the same hour of other weeks.

        Raises:
            MalformedRecord: A cost that is not above 0, unequal lengths, or a position outside.
            LimitExceeded: More hours than `HOURS_MAX` are refused as malformed.

        Example:
            >>> monitor = CostMonitor()
            >>> monitor.calibrate([0.02] * 800, [100] * 800).reason
            '4 weeks of history are too few'
        """
        scored = self._score(cost_usd, tasks, excluded)
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
        sentence = METHODS[MethodId.COST_MONITOR].sentence.replace("two", f"{self.per_year:g}")
        guarantee = METHODS[MethodId.COST_MONITOR].sentence if self.per_year == 2 else sentence
        if weeks < _WEEKS_OWN:
            return CostLine(
                line=_FIXED_LINE, weeks=weeks, n=len(known), guarantee=guarantee,
                notes=(f"less than {_WEEKS_OWN} weeks of history: a fixed line, about four alarms a year",),
            )  # fmt: skip
        return CostLine(line=self._line(scored.scores, known), weeks=weeks, n=len(known), guarantee=guarantee)

    def read(
        self,
        cost_usd: Sequence[float] | NDArray[np.generic],
        tasks: Sequence[int] | NDArray[np.generic],
        line: CostLine,
        excluded: Sequence[int] = (),
    ) -> CostReading:
        """Find the alerts of a series, at least the last 9 weeks up to now.

        Args:
            cost_usd: Mean cost per task of each hour, oldest first, shape (hours,).
            tasks: Tasks of each hour, shape (hours,).
            line: From `calibrate`.
            excluded: Hours of the charter's calendar, as positions.

        Returns:
            The alerts; hours without enough history have no score and raise none.

        Raises:
            MalformedRecord: As `calibrate`.

        Example:
            >>> monitor = CostMonitor()
            >>> costs = [0.020 + 0.001 * (h % 7) for h in range(2000)] + [0.040] * 12
            >>> line = monitor.calibrate(costs[:2000], [100] * 2000)
            >>> [a.hour for a in monitor.read(costs, [100] * 2012, line).alerts]
            [2001]
        """
        scored = self._score(cost_usd, tasks, excluded)
        alerts: list[CostAlert] = []
        for hour in np.flatnonzero(scored.scores > line.line):
            if not alerts or hour - alerts[-1].hour >= self.refractory_hours:
                alerts.append(
                    CostAlert(
                        hour=int(hour),
                        score=float(scored.scores[hour]),
                        cost_usd=float(scored.cost[hour]),
                        usual_usd=float(scored.usual[hour]),
                    )
                )
        known = scored.scores[~np.isnan(scored.scores)]
        return CostReading(
            alerts=tuple(alerts),
            score=float(known[-1]) if len(known) else None,
            line=line.line,
            n=len(known),
            guarantee=line.guarantee,
            notes=line.notes,
        )

    def _score(
        self,
        cost_usd: Sequence[float] | NDArray[np.generic],
        tasks: Sequence[int] | NDArray[np.generic],
        excluded: Sequence[int],
    ) -> _Scored:
        hours = check_same_length(cost_usd=cost_usd, tasks=tasks)
        check_count("hours", hours, most=HOURS_MAX)
        pooled = _pool(
            finite_array("cost_usd", cost_usd), count_array("tasks", tasks), _mask(excluded, hours)
        )
        logs = np.log(pooled)
        lags = tuple(self.season_hours * k for k in range(1, _SEASONS + 1))
        usual = median_of_rows(lagged(logs, lags), _SEASONS_MIN)
        residual = logs - usual
        z = np.clip(residual / _scale(residual), -_CLIP, _CLIP)
        return _Scored(scores=_smooth(z), cost=pooled, usual=np.exp(usual))

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


def _mask(excluded: Sequence[int], hours: int) -> NDArray[np.bool_]:
    mask = np.zeros(hours, dtype=bool)
    for index, hour in enumerate(excluded):
        if not 0 <= hour < hours:
            raise malformed("excluded", hour, f"a position from 0 to {hours - 1}", index=index)
        mask[hour] = True
    return mask


def _pool(cost: Floats, tasks: NDArray[np.int64], excluded: NDArray[np.bool_]) -> Floats:
    """Mean cost of each hour with at least 20 tasks, thin hours before it included; NaN elsewhere."""
    bad = (cost <= 0) & (tasks > 0)
    if bad.any():
        index = int(np.argmax(bad))
        raise malformed("cost_usd", float(cost[index]), "a cost above 0 for an hour with tasks", index=index)
    pooled = np.full(len(cost), np.nan)
    spent, count = 0.0, 0
    for hour in range(len(cost)):
        if excluded[hour]:
            spent, count = 0.0, 0
            continue
        if tasks[hour]:
            spent += float(cost[hour]) * int(tasks[hour])
            count += int(tasks[hour])
        if count >= TASKS_MIN:
            pooled[hour] = spent / count
            spent, count = 0.0, 0
    return pooled


def _scale(residual: Floats) -> Floats:
    """Robust spread of the residuals of the two weeks before each hour."""
    window = window_before(residual, _SCALE_HOURS)
    middle = median_of_rows(window, _SCALE_HOURS_MIN)
    mad = 1.4826 * median_of_rows(np.abs(window - middle[:, None]), _SCALE_HOURS_MIN)
    known = ~np.isnan(window)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, window, 0.0).sum(axis=1) / count
    spread = np.sqrt(np.where(known, (window - mean[:, None]) ** 2, 0.0).sum(axis=1) / count)
    # Below a tenth of a percent a spread is rounding, not a scale.
    scale: Floats = np.maximum(np.maximum(mad, 0.1 * spread), 1e-3)
    return scale


def _smooth(z: Floats) -> Floats:
    """Exponentially weighted mean in units of its own deviation; gaps are passed over."""
    scores = np.full(len(z), np.nan)
    level = 0.0
    unit = math.sqrt(_SMOOTHING / (2 - _SMOOTHING))
    for hour in np.flatnonzero(~np.isnan(z)):
        level = (1 - _SMOOTHING) * level + _SMOOTHING * float(z[hour])
        scores[hour] = level / unit
    return scores
