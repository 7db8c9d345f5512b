# SPDX-License-Identifier: Apache-2.0
"""Tango's score statistic for a paired difference of rates, and the limits that invert it."""

from __future__ import annotations

import math

import numpy as np

from pilothouse.core.statistics.checks import Floats

__all__ = ["tango_limits", "tango_z"]

_STEPS_MAX = 60
"""Steps towards an end: halving alone would get an interval of length 2 below the precision in as many."""

_PRECISION = 1e-13
"""Beyond what anybody reads."""


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
        Tango 1998, section 3; ends by a bracketed secant on both sides of the estimate.

    Example:
        >>> low, high = tango_limits(0.0, 1.0, 44.0, 1.959964)
        >>> f"{low:.4f} {high:.4f}"
        '-0.1181 0.0594'
    """
    return _end(b, c, n, critical, -1.0), _end(b, c, n, critical, 1.0)


def _end(b: float, c: float, n: float, critical: float, outside: float) -> float:
    """Find where |z| reaches the critical value, between the estimate and -1 or 1, by a bracketed secant.

    The bracket is halved until its outer end is a value the test rejects; from there the Illinois rule needs a
    fifth of the steps that halving would.
    """
    within, short, over = (b - c) / n, -critical, 0.0
    last = steps = 0
    while abs(outside - within) > _PRECISION and steps < _STEPS_MAX:
        steps += 1
        middle = (within + outside) / 2
        if over > 0.0:
            middle = within + (outside - within) * short / (short - over)
        gap = abs(_z(b, c, n, middle)) - critical
        if abs(gap) < _PRECISION:
            return middle
        if gap < 0.0:
            within, short, over = middle, gap, over / 2 if last < 0 else over
        else:
            outside, over, short = middle, gap, short / 2 if last > 0 else short
        last = -1 if gap < 0.0 else 1
    return within


def _z(b: float, c: float, n: float, difference: float) -> float:
    """`tango_z` for one pair of numbers without the cost of arrays; z of H0: difference."""
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    q = max((math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n), 0.0)
    variance = n * (2 * q + difference * (1 - difference))
    numerator = b - c - n * difference
    return numerator / math.sqrt(variance) if variance > 0 else 0.0
