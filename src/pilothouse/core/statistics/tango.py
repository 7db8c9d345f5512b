# SPDX-License-Identifier: Apache-2.0
"""Tango's score statistic for a paired difference of rates, and the limits that invert it."""

from __future__ import annotations

import math

import numpy as np

from pilothouse.core.statistics.checks import Floats

__all__ = ["tango_limits", "tango_z"]

_BISECTIONS = 60
"""Halvings of an interval no longer than 2: beyond the precision that anybody reads."""


def tango_z(b: Floats, c: Floats, n: Floats | float, margin: Floats | float) -> Floats:
    """Score statistic of H0: difference = -margin, large when the candidate is better than that.

    Args:
        b: Pairs in which only the candidate is good, any shape (clusters and repeats make fractions).
        c: Pairs in which only the baseline is good, the same shape.
        n: Pairs.
        margin: Margin; the hypothesis is candidate - baseline = -margin, in (-1, 1).

    Returns:
        Statistic, same shape; 0 where it has no variance.

    Source:
        Tango 1998, Statistics in Medicine 17, equation 6.

    Example:
        >>> f"{tango_z(np.array(6.0), np.array(6.0), 200.0, 0.05):.4f}"
        '2.4324'
    """
    difference = -np.asarray(margin, dtype=np.float64)
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    root = np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0))
    q = np.maximum((root - linear) / (4 * n), 0.0)
    variance = n * (2 * q + difference * (1 - difference))
    numerator = b - c - n * difference
    z: Floats = np.divide(
        numerator,
        np.sqrt(np.maximum(variance, 0.0)),
        out=np.zeros(np.broadcast(numerator, variance).shape),
        where=variance > 0,
    )
    return z


def tango_limits(b: float, c: float, n: float, critical: float) -> tuple[float, float]:
    """Interval of the difference candidate - baseline: all values that the score test keeps.

    Args:
        b: Pairs in which only the candidate is good.
        c: Pairs in which only the baseline is good.
        n: Pairs, at least b + c.
        critical: Critical value, for example 1.96.

    Source:
        Tango 1998, section 3; ends by bisection on both sides of the estimate.

    Example:
        >>> low, high = tango_limits(0.0, 1.0, 44.0, 1.959964)
        >>> f"{low:.4f} {high:.4f}"
        '-0.1181 0.0594'
    """
    estimate = (b - c) / n

    def kept(difference: float) -> bool:
        return abs(_z(b, c, n, difference)) < critical

    ends = []
    for end in (-1.0, 1.0):
        within, without = estimate, end
        for _ in range(_BISECTIONS):
            middle = (within + without) / 2
            within, without = (middle, without) if kept(middle) else (within, middle)
        ends.append(within)
    return ends[0], ends[1]


def _z(b: float, c: float, n: float, difference: float) -> float:
    """`tango_z` for one pair of numbers without the cost of arrays; z of H0: difference."""
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    q = max((math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n), 0.0)
    variance = n * (2 * q + difference * (1 - difference))
    numerator = b - c - n * difference
    return numerator / math.sqrt(variance) if variance > 0 else 0.0
