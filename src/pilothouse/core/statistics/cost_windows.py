# SPDX-License-Identifier: Apache-2.0
"""Scores of windows of cost: an hour against the same hour of other weeks, a day of enough tasks against the days before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats, malformed
from pilothouse.core.statistics.cost_months import expected_excess
from pilothouse.core.statistics.rolling import lagged, median_of_rows, window_before

__all__ = [
    "REFERENCE_MIN",
    "TASKS_MIN",
    "CostWindow",
    "ScoredCosts",
    "mask_of",
    "score_costs",
    "window_starts",
    "windows_until",
]

TASKS_MIN = 20
"""Tasks of a window: an hour or a day with fewer is pooled into the next."""

REFERENCE_MIN = 14
"""Windows by days before the first score; from then on quiet agents keep the promise (simulation 21)."""

_REFERENCE = 28
"""Windows that a window by days is held against: after half as many a lasting change is what is usual."""

_SEASONS, _SEASONS_MIN = 6, 3
_SCALE_HOURS = 336
"""Two weeks before, for the scale of hours."""

_SCALE_HOURS_MIN = 100
_CLIP = 6.0
"""Largest single z of an hour, so that one strange hour alone raises no alarm; the lowest of a day."""

_CLIP_DAY = 10.0
"""Largest single z of a day. Single expensive tasks hardly move the typical cost of a day, so one day may raise an alarm."""

_SPREAD_HOUR = 1e-3
"""Below a tenth of a percent a spread of hours is rounding, not a scale."""

_SPREAD_DAY = 0.05
"""Days of an agent whose tasks all cost the same: nobody is called for less than some eight percent."""

_LINKED_CLIP, _LINKED_SURE, _LINKED_MAX = 2.0, 2.0, 0.95
"""Correlation of neighbouring days: of scores that no single day decides, two standard errors less than it was, and at most."""

_SMOOTHING = 0.25
_UNIT = math.sqrt(_SMOOTHING / (2 - _SMOOTHING))


class CostWindow(StrEnum):
    """What costs are compared by.

    Attributes:
        HOUR: Mean cost of an hour, against the same hour of other weeks.
        DAY: Typical cost (geometric mean) of a day or of as many days as 20 tasks take, against the windows before it.
    """

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class ScoredCosts:
    """Scores of a series; NaN where a position has none.

    Attributes:
        scores: Smoothed score at the position where a window ends, NaN without enough history.
        cost: Cost per task of the window that ends there, NaN where none ends.
        usual: What is usual, NaN without enough history.
        begins: First position of the window that ends there.
        spread: By days, spread of the log costs that the next window is held against; None without enough history.
        linked: By days, how many times wider scores of the next window vary because days hang together; 1 where they do not.
    """

    scores: Floats
    cost: Floats
    usual: Floats
    begins: NDArray[np.int64]
    spread: float | None
    linked: float = 1.0

    @property
    def ends(self) -> NDArray[np.int64]:
        """Positions at which a window ends."""
        return np.flatnonzero(~np.isnan(self.cost))

    @property
    def stride(self) -> float | None:
        """Positions that a window takes on average, of the newest ones; None before the first."""
        newest = self.ends[-_REFERENCE:]
        return float(newest[-1] - self.begins[newest[0]] + 1) / len(newest) if len(newest) else None

    def risen(self, position: int) -> int:
        """First position of the stretch up to a window in which no score was below what is usual.

        Args:
            position: Where a window with a score ends.
        """
        known = np.flatnonzero(~np.isnan(self.scores[: position + 1]))
        below = known[self.scores[known] <= 0]
        first = known[known > below[-1]][0] if len(below) else known[0]
        return int(self.begins[first])


def score_costs(
    window: CostWindow,
    cost: Floats,
    tasks: NDArray[np.int64],
    excluded: NDArray[np.bool_],
    *,
    season: int,
    first: date | None = None,
) -> ScoredCosts:
    """Score a series.

    Args:
        window: What costs are compared by.
        cost: Cost per task of each position, ignored where there are no tasks.
        tasks: Tasks of each position.
        excluded: Positions that are left out, with what was pooled up to them.
        season: Positions of a season, for hours.
        first: By days, the day of the first position: what came back at one place of two months is expected there. None
            where nobody knows it.

    Raises:
        MalformedRecord: A cost that is not above 0 where there are tasks.
    """
    bad = (cost <= 0) & (tasks > 0)
    if bad.any():
        index = int(np.argmax(bad))
        raise malformed(
            "cost_usd", float(cost[index]), f"a cost above 0 for a {window} with tasks", index=index
        )
    if window is CostWindow.HOUR:
        pooled, begins = _pool(cost, tasks, excluded)
        logs = np.log(pooled)
        usual, z = _against_season(logs, season)
        return ScoredCosts(
            scores=_smooth(z, -math.inf), cost=pooled, usual=np.exp(usual), begins=begins, spread=None
        )

    logs, begins = _pool(np.log(np.where(tasks > 0, cost, 1.0)), tasks, excluded)
    usual, z, spread = _against_before(logs, begins, first)
    linked = _linked(z[~np.isnan(z)])
    scores = _smooth(z, 0.0)  # cheap days before it do not hide a dear one
    scores[~np.isnan(z)] /= linked[:-1]
    return ScoredCosts(
        scores=scores,
        cost=np.exp(logs),
        usual=np.exp(usual),
        begins=begins,
        spread=spread,
        linked=float(linked[-1]),
    )


def windows_until(rise: float, spread: float, line: float) -> int | None:
    """Return how many windows by days it takes until a lasting rise crosses the line; None for never.

    Args:
        rise: Cost in multiples of what is usual, above 1.
        spread: Spread of the log costs of the windows before.
        line: The line.

    Example:
        >>> windows_until(2.0, spread=0.27, line=4.0), windows_until(1.2, spread=0.27, line=4.0)
        (4, None)
    """
    z = min(math.log(rise) / spread, _CLIP_DAY)
    level = 0.0
    for windows in range(1, REFERENCE_MIN + 1):  # afterwards the rise itself is what is usual
        level = (1 - _SMOOTHING) * level + _SMOOTHING * z
        if level / _UNIT > line:
            return windows
    return None


def window_starts(tasks: Sequence[int]) -> tuple[int, ...]:
    """Return the positions at which windows begin, oldest first: those that are over, not the one that fills.

    Whoever drops the oldest positions of a series drops whole windows, or all later ones would be cut elsewhere.

    Args:
        tasks: Tasks of each position.

    Example:
        >>> window_starts([8, 8, 8, 0, 30, 8])
        (0, 4)
    """
    pooled, begins = _pool(np.zeros(len(tasks)), np.asarray(tasks), np.zeros(len(tasks), dtype=bool))
    return tuple(begins[~np.isnan(pooled)].tolist())


def mask_of(excluded: Sequence[int], positions: int) -> NDArray[np.bool_]:
    """Return excluded positions as a mask.

    Args:
        excluded: Positions.
        positions: Length of the series.

    Raises:
        MalformedRecord: A position outside.
    """
    mask = np.zeros(positions, dtype=bool)
    for index, position in enumerate(excluded):
        if not 0 <= position < positions:
            raise malformed("excluded", position, f"a position from 0 to {positions - 1}", index=index)
        mask[position] = True
    return mask


def _against_season(logs: Floats, season: int) -> tuple[Floats, Floats]:
    """Hours: what is usual and the z against the same hour of other weeks."""
    lags = tuple(season * k for k in range(1, _SEASONS + 1))
    usual = median_of_rows(lagged(logs, lags), _SEASONS_MIN)
    residual = logs - usual
    window = window_before(residual, _SCALE_HOURS)
    middle = median_of_rows(window, _SCALE_HOURS_MIN)
    mad = 1.4826 * median_of_rows(np.abs(window - middle[:, None]), _SCALE_HOURS_MIN)
    known = ~np.isnan(window)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, window, 0.0).sum(axis=1) / count
    plain = np.sqrt(np.where(known, (window - mean[:, None]) ** 2, 0.0).sum(axis=1) / count)
    scale = np.maximum(np.maximum(mad, 0.1 * plain), _SPREAD_HOUR)
    return usual, np.clip(residual / scale, -_CLIP, _CLIP)


def _against_before(
    logs: Floats, begins: NDArray[np.int64], first: date | None
) -> tuple[Floats, Floats, float | None]:
    """Days: what is usual and the z against the windows before, and the spread that the next window is held against.

    The scale is the deviation from the median without its largest part: one runaway day does not blind the month after it,
    and what comes back every week is part of the scale. What comes back every month is expected where it comes.
    """
    ends = np.flatnonzero(~np.isnan(logs))
    usual, z = np.full(len(logs), np.nan), np.full(len(logs), np.nan)
    before = window_before(np.append(logs[ends], np.nan), _REFERENCE)
    middle = median_of_rows(before, REFERENCE_MIN)
    known = ~np.isnan(before)
    squares = np.where(known & ~np.isnan(middle)[:, None], (before - middle[:, None]) ** 2, 0.0)
    rest = squares.sum(axis=1) - squares.max(axis=1)
    spread = np.maximum(np.sqrt(np.maximum(rest, 0.0) / np.maximum(known.sum(axis=1) - 2, 1)), _SPREAD_DAY)
    usual[ends] = middle[:-1]
    excess = logs - usual
    z[ends] = np.clip(excess[ends] / spread[:-1], -_CLIP, _CLIP_DAY)
    if first is not None:
        by_day = expected_excess(excess, z, begins, first)
        expected = np.array([by_day[begins[end] : end + 1].max() for end in ends.tolist()])
        left = np.maximum((excess[ends] - expected) / spread[:-1], 0.0)
        z[ends] = np.where(expected > 0, np.minimum(z[ends], left), z[ends])
    return usual, z, None if np.isnan(middle[-1]) else float(spread[-1])


def _linked(z: Floats) -> Floats:
    """How many times wider smoothed scores vary because neighbouring days hang together: before each of them, and before the next.

    Smoothing n independent scores leaves a known spread; of a series whose neighbours correlate it leaves more, and an alarm that
    does not know it comes several times as often as it may. Only as much correlation counts as is surely there.

    Source:
        Variance of an exponentially weighted mean of an AR(1) series; Schmid 1997.
    """
    clipped = np.clip(z, -_LINKED_CLIP, _LINKED_CLIP)
    squares = np.cumsum(clipped**2)
    products = np.cumsum(np.concatenate([np.zeros(min(len(z), 1)), clipped[1:] * clipped[:-1]]))
    sure = products / np.maximum(squares, 1e-9) - _LINKED_SURE / np.sqrt(np.arange(1, len(z) + 1))
    rest = (1 - _SMOOTHING) * np.clip(sure, 0.0, _LINKED_MAX)
    return np.concatenate([[1.0], np.sqrt((1 + rest) / (1 - rest))])


def _pool(
    values: Floats, tasks: NDArray[np.int64], excluded: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.int64]]:
    """Mean of each position with at least 20 tasks, thin ones before it included, and where it begins; NaN elsewhere."""
    pooled = np.full(len(values), np.nan)
    begins = np.zeros(len(values), dtype=np.int64)
    total, count, begin = 0.0, 0, 0
    for position in range(len(values)):
        if excluded[position]:
            total, count = 0.0, 0
            continue
        if tasks[position]:
            begin = begin if count else position
            total += float(values[position]) * int(tasks[position])
            count += int(tasks[position])
        if count >= TASKS_MIN:
            pooled[position], begins[position] = total / count, begin
            total, count = 0.0, 0
    return pooled, begins


def _smooth(z: Floats, least: float) -> Floats:
    """Exponentially weighted mean in units of its own deviation, going on from `least` at least; gaps are passed over."""
    scores = np.full(len(z), np.nan)
    level = 0.0
    for position in np.flatnonzero(~np.isnan(z)):
        level = (1 - _SMOOTHING) * max(level, least) + _SMOOTHING * float(z[position])
        scores[position] = level / _UNIT
    return scores
