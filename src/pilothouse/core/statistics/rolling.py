# SPDX-License-Identifier: Apache-2.0
"""Medians and moments over sliding windows, with gaps."""

from __future__ import annotations

import numpy as np

from pilothouse.core.statistics.checks import Floats

__all__ = ["lagged", "median_of_rows", "window_before"]


def median_of_rows(matrix: Floats, least: int = 1) -> Floats:
    """Median of each row, without NaN; NaN where fewer than `least` values are there.

    Args:
        matrix: Shape (rows, columns).
        least: Values that a median needs.

    Example:
        >>> median_of_rows(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 1.0]]), 2).tolist()
        [2.0, nan]
    """
    ordered = np.sort(matrix, axis=1)
    count = (~np.isnan(matrix)).sum(axis=1)
    rows = np.arange(len(matrix))
    lower = ordered[rows, np.maximum((count - 1) // 2, 0)]
    upper = ordered[rows, np.minimum(count // 2, matrix.shape[1] - 1)]
    return np.where(count >= max(least, 1), (lower + upper) / 2, np.nan)


def window_before(values: Floats, width: int) -> Floats:
    """The `width` values before each position, NaN before the start, shape (n, width).

    Args:
        values: Shape (n,).
        width: Width of the window, at least 1.

    Example:
        >>> window_before(np.array([1.0, 2.0, 3.0]), 2).tolist()
        [[nan, nan], [nan, 1.0], [1.0, 2.0]]
    """
    padded = np.concatenate([np.full(width, np.nan), values[:-1]])
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def lagged(values: Floats, lags: tuple[int, ...]) -> Floats:
    """The values so many positions before each position, NaN before the start, shape (n, lags).

    Args:
        values: Shape (n,).
        lags: Distances, each at least 1.

    Example:
        >>> lagged(np.array([1.0, 2.0, 3.0]), (1, 2)).tolist()
        [[nan, nan], [1.0, nan], [2.0, 1.0]]
    """
    columns = []
    for lag in lags:
        shift = min(lag, len(values))
        columns.append(np.concatenate([np.full(shift, np.nan), values[: len(values) - shift]]))
    return np.stack(columns, axis=1)
