# SPDX-License-Identifier: Apache-2.0
"""Score how unusual each value of a regular series is; a hint for people, without a false-alarm rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats, check_count, finite_array
from pilothouse.core.statistics.methods import METHODS, MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.rolling import lagged, median_of_rows, window_before

__all__ = ["SERIES_MAX", "AnomalyScores", "StreamAnomaly"]

SERIES_MAX = 250_000
"""Values in one call: two years of 5-minute values; the windows of a day stay below a gigabyte."""

_POINTS_MIN = 20
"""Values before the first score."""

_DAYS = 14
_RECENT_DAYS = 3
_HELD, _BEYOND, _REST = 144, 1.2, 0.2
_THIN = 12
"""Every how many values the choice of a residual looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyScores:
    """Scores of a series.

    Attributes:
        scores: One for each value, from 0; 0 while there is no history.
        n: Values.
        guarantee: What may be believed, one sentence.
    """

    scores: tuple[float, ...]
    n: int
    guarantee: str


@dataclass(frozen=True, slots=True)
class StreamAnomaly:
    """Largest of two z-scores, of the value and of its residual to the same time of earlier days.

    Attributes:
        window: Values whose mean and deviation are the measure, at least 20.
        refractory: Values after a high score in which only a higher one counts.
        day: Values of a day: 288 at 5 minutes, 24 at an hour.

    Source:
        Own; measured on the benchmark of Lavin and Ahmad 2015, arXiv 1510.03336.
    """

    window: int = 6400
    refractory: int = _HELD
    day: int = 288

    def __post_init__(self) -> None:
        check_count("window", self.window, least=_POINTS_MIN, most=SERIES_MAX)
        check_count("refractory", self.refractory, least=1, most=SERIES_MAX)
        check_count("day", self.day, least=3, most=2_000)

    def score(self, values: Sequence[float] | NDArray[np.generic]) -> AnomalyScores | NotEnoughEvidence:
        """Score each value by those before it, never by those after.

        Args:
            values: Regular in time, oldest first, shape (n,).

        Returns:
            The scores; or how many values are missing.

        Raises:
            MalformedRecord: NaN, infinite, or more than `SERIES_MAX` values.

        Example:
            >>> quiet = [float(i % 5) for i in range(200)]
            >>> scores = StreamAnomaly().score([*quiet, 50.0]).scores
            >>> scores[-1] > 10 * max(scores[:-1])
            True
        """
        array = finite_array("values", values)
        check_count("values", len(array), most=SERIES_MAX)
        if len(array) < _POINTS_MIN:
            return NotEnoughEvidence(
                reason=f"{len(array)} values are too few to be unusual",
                have=len(array), need=_POINTS_MIN, unit="values",
                remedy=f"Wait for {_POINTS_MIN - len(array)} more values.",
            )  # fmt: skip
        residual = self._residual(array)
        raw = np.maximum(np.abs(self._z(array)), np.abs(self._z(residual)))
        return AnomalyScores(
            scores=tuple(self._hold(raw).tolist()),
            n=len(array),
            guarantee=METHODS[MethodId.STREAM_ANOMALY].sentence,
        )

    def _z(self, values: Floats) -> Floats:
        """Distance to the mean of the window before, in its deviations; 0 without history or variation."""
        known = ~np.isnan(values)
        filled = np.where(known, values, 0.0)
        shift = float(filled[known].mean()) if known.any() else 0.0
        filled = np.where(known, values - shift, 0.0)
        sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in (known, filled, filled**2)]
        end = np.arange(len(values))
        start = np.maximum(end - self.window, 0)
        count, total, squares = (part[end] - part[start] for part in sums)
        mean = total / np.maximum(count, 1)
        spread = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
        usable = known & (count >= _POINTS_MIN) & (spread > 1e-9 * (1 + abs(shift)))
        z: Floats = np.divide(filled - mean, spread, out=np.zeros(len(values)), where=usable)
        return z

    def _residual(self, values: Floats) -> Floats:
        """Distance to the season or to the last day, whichever was nearer in the last three days."""
        lags = tuple(k * self.day + offset for k in range(1, _DAYS + 1) for offset in (-1, 0, 1))
        seasonal = values - median_of_rows(lagged(values, lags), 3)
        local = values - median_of_rows(window_before(values, self.day), min(self.day, _POINTS_MIN))
        recent = _RECENT_DAYS * self.day
        seasonal_miss = _recent_median(np.abs(seasonal), recent)
        local_miss = _recent_median(np.abs(local), recent)
        use_season = ~np.isnan(seasonal) & (np.isnan(local_miss) | (seasonal_miss < local_miss))
        return np.where(use_season, seasonal, local)

    def _hold(self, raw: Floats) -> Floats:
        """After a high score only a clearly higher one counts for a while."""
        held = raw.copy()
        for t in range(1, len(raw)):
            top = float(raw[max(0, t - self.refractory) : t].max())
            if raw[t] <= _BEYOND * top:
                held[t] = min(float(raw[t]), top) * _REST
        return held


def _recent_median(values: Floats, width: int) -> Floats:
    """Median of the values before each position, taken at every twelfth of them: a choice needs no more."""
    thin = values[::_THIN]
    medians = median_of_rows(window_before(thin, max(width // _THIN, 1)))
    return np.repeat(medians, _THIN)[: len(values)]
