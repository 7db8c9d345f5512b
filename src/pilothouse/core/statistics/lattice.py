# SPDX-License-Identifier: Apache-2.0
"""A fixed lattice instead of random draws, so that equal evidence gives an equal posterior, byte for byte."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

import numpy as np
import scipy

from pilothouse.core.statistics.checks import Floats

__all__ = ["LATTICE_POINTS", "beta_draws", "dirichlet_draws", "lattice", "posterior_ends"]

LATTICE_POINTS = 4096
"""Points of the lattice: ends differ from four million random draws by at most 0.0004, in about 9 ms."""

DRAWS_CACHED_MAX = 64
"""Columns of draws that are remembered, 32 KiB each. The same counts come again: a verdict is computed every few minutes from
evidence that stays, and a card's counts are few numbers."""

_ROOT_STEPS = 200
"""Fixed-point steps for the generalised golden ratio: it contracts, 60 would do."""


@cache
def lattice(dimensions: int) -> Floats:
    """Return the points, shape (LATTICE_POINTS, dimensions), inside (0, 1), read-only.

    Args:
        dimensions: How many independent quantities are drawn together.

    Source:
        Roberts 2018, The Unreasonable Effectiveness of Quasirandom Sequences: frac(1/2 + i phi^-j)
        with phi the positive root of x^(d+1) = x + 1.

    Example:
        >>> lattice(1)[:3, 0].round(4).tolist()
        [0.118, 0.7361, 0.3541]
    """
    phi = 2.0
    for _ in range(_ROOT_STEPS):
        phi = (1 + phi) ** (1 / (dimensions + 1))
    steps = phi ** -np.arange(1, dimensions + 1, dtype=np.float64)
    points: Floats = (0.5 + np.outer(np.arange(1, LATTICE_POINTS + 1), steps)) % 1.0
    points.setflags(write=False)
    return points


@lru_cache(maxsize=DRAWS_CACHED_MAX)
def beta_draws(dimensions: int, column: int, good: float, bad: float) -> Floats:
    """Send a column of the lattice through the quantile function of Beta(good + 1/2, bad + 1/2).

    Args:
        dimensions: How many quantities are drawn together.
        column: Which of them this is, from 0.
        good: Good cases, any number from 0 (clustering makes fractions).
        bad: Bad cases.

    Returns:
        Draws, shape (LATTICE_POINTS,), read-only.

    Example:
        >>> f"{beta_draws(1, 0, 9.0, 1.0).mean():.3f}"
        '0.864'
    """
    draws: Floats = scipy.special.betaincinv(good + 0.5, bad + 0.5, lattice(dimensions)[:, column])
    draws.setflags(write=False)
    return draws


def dirichlet_draws(dimensions: int, counts: Floats) -> Floats:
    """Send the first columns of the lattice through the quantiles of Dirichlet(counts + 1/2).

    Args:
        dimensions: How many quantities are drawn together, at least a column for each cell; two cells use one column.
        counts: Cases in each cell, shape (cells,).

    Returns:
        Shares, shape (points, cells), each row adding up to 1.

    Example:
        >>> dirichlet_draws(3, np.array([8.0, 1.0, 1.0])).mean(axis=0).round(2).tolist()
        [0.74, 0.13, 0.13]
    """
    if len(counts) == 2:
        first = beta_draws(dimensions, 0, float(counts[0]), float(counts[1]))
        return np.stack([first, 1 - first], axis=1)
    draws: Floats = scipy.special.gammaincinv(counts + 0.5, lattice(dimensions)[:, : len(counts)])
    shares: Floats = draws / draws.sum(axis=1, keepdims=True)
    return shares


def posterior_ends(draws: Floats, level: float, side: Literal["both", "low"] = "both") -> tuple[float, float]:
    """Return the ends of a posterior: two-sided, or the one-sided lower end and 1.

    Args:
        draws: Draws of the quantity, shape (points,).
        level: Confidence in (0, 1).
        side: `both` for equal tails, `low` for a lower bound.

    Example:
        >>> low, high = posterior_ends(np.linspace(0, 1, 101), 0.9)
        >>> f"{low:.2f} {high:.2f}"
        '0.05 0.95'
    """
    if side == "low":
        return float(np.quantile(draws, 1 - level)), 1.0
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
