# SPDX-License-Identifier: Apache-2.0
"""Monthly seasonality of cost: the excess expected of a day because it recurred two months in a row."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats

__all__ = ["expected_excess"]

_MONTHS_BACK = (1, 2)
"""Months in which it must have happened: one dear day is news, two in a row at one place of the month are a habit."""

_NEAR_DAYS = 2
"""The last working day of a month lies up to two days before its last."""

_SURE_Z = 2.0
"""Deviation from which a day was dear: of ordinary days that pass for one few meet another a month later."""


def expected_excess(excess: Floats, z: Floats, begins: NDArray[np.int64], first: date) -> Floats:
    """Return how much more, as a logarithm, each position is expected to cost for its place in the month; 0 for most.

    A place is counted from the beginning of the month or from its end. What came back is the smaller of the two months.

    Args:
        excess: Log cost minus what was usual at the position where a window ends, NaN where it is not known.
        z: The same in spreads.
        begins: First position of the window that ends there.
        first: Day of the first position; each position is a day.
    """
    dear = np.zeros(len(excess))
    for end in np.flatnonzero(z >= _SURE_Z).tolist():
        dear[begins[end] : end + 1] = excess[end]
    near = [float(dear[max(0, at - _NEAR_DAYS) : at + _NEAR_DAYS + 1].max()) for at in range(len(dear))]
    days = [first + timedelta(days=at) for at in range(len(dear))]
    at_place = {place: near[at] for at, one in enumerate(days) for place in _places(one)}
    return np.array(
        [
            max(
                min(at_place.get((month - back, side, place), 0.0) for back in _MONTHS_BACK)
                for month, side, place in _places(one)
            )
            for one in days
        ]
    )


def _places(one: date) -> Iterator[tuple[int, str, int]]:
    """Yield where a day stands: its month, counted through the years, and its place from the beginning and from the end."""
    month = 12 * one.year + one.month
    yield month, "begin", one.day
    yield month, "end", calendar.monthrange(one.year, one.month)[1] - one.day
