# SPDX-License-Identifier: Apache-2.0
"""Bets whose wealth is evidence: logarithms of e-values, their grid, and their running combinations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pilothouse.core.statistics.checks import Floats

__all__ = [
    "BETS",
    "LOG_MAX",
    "ZERO_WEALTH",
    "log_mean",
    "multiply",
    "rate_log_e",
    "restart_and_multiply",
    "rise",
]

BETS = (0.0075, 0.03, 0.06, 0.12, 0.225, 0.45, 0.9)
"""Fractions of the largest safe bet: together they grow well for small and for large drops.

The smallest one matters where most items are labelled: without it a 3-point drop is never found there.
"""

_BET_ARRAY = np.array(BETS)

LOG_MAX = 700.0
"""Logarithms are kept in [-700, 700], where `exp` neither overflows nor becomes zero."""

ZERO_WEALTH = (-LOG_MAX,) * len(BETS)
"""Logarithm of no wealth at all, for each bet."""


def log_mean(log_wealth: Sequence[float] | Floats) -> float:
    """Logarithm of the mean of wealths that are given as logarithms.

    Example:
        >>> f"{log_mean([0.0, math.log(3)]):.4f}"
        '0.6931'
    """
    array = np.asarray(log_wealth, dtype=np.float64)
    top = float(array.max())
    return top + math.log(float(np.exp(array - top).mean()))


def restart_and_multiply(log_wealth: Sequence[float], log_e: Floats) -> tuple[float, ...]:
    """Shiryaev-Roberts step M <- E (M + 1): every day a new bet joins the old ones.

    Args:
        log_wealth: Logarithm of M for each bet.
        log_e: Logarithm of the day's E for each bet.

    Source:
        Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, section 2.3.

    Example:
        >>> restart_and_multiply([1.0, 0.0], np.array([0.0, 0.0]))
        (1.3132616875182228, 0.6931471805599453)
    """
    grown = np.logaddexp(np.asarray(log_wealth), 0.0) + log_e
    return tuple(np.clip(grown, -LOG_MAX, LOG_MAX).tolist())


def multiply(log_wealth: Sequence[float], log_e: Floats) -> tuple[float, ...]:
    """Plain step M <- E M of a test that started once.

    Args:
        log_wealth: Logarithm of M for each bet.
        log_e: Logarithm of the day's E for each bet.

    Source:
        Ville 1939; Waudby-Smith and Ramdas 2024.

    Example:
        >>> multiply([0.0, -1.0], np.array([0.5, 0.5]))
        (0.5, -0.5)
    """
    return tuple(np.clip(np.asarray(log_wealth) + log_e, -LOG_MAX, LOG_MAX).tolist())


def rise(cusum: float, log_e: Floats) -> float:
    """Cumulated evidence of the middle bet since it last was none: where it leaves 0, the change began.

    Args:
        cusum: The sum up to the day before, at least 0.
        log_e: Logarithm of the day's E for each bet.

    Source:
        Page 1954, Continuous inspection schemes.

    Example:
        >>> rise(1.0, rate_log_e(0.95, 100, 98)) == 0.0, rise(0.0, rate_log_e(0.95, 100, 80)) > 5
        (True, True)
    """
    return max(0.0, cusum + float(log_e[len(BETS) // 2]))


def rate_log_e(line: float, n: int, good: int) -> Floats:
    """Logarithm of a day's e-value for each bet, that a rate of good cases lies below a line; every case is known.

    Args:
        line: The line, in (0, 1).
        n: Cases.
        good: Good ones among them.

    Returns:
        Shape (bets,).

    Source:
        Product of 1 + lambda (line - Y) over the cases, lambda a fraction of the largest safe 1 / (1 - line).

    Example:
        >>> rate_log_e(0.95, 100, 90).round(1).tolist()
        [0.7, 1.8, 2.0, 0.4, -6.3, -31.2, -178.3]
    """
    stakes = _BET_ARRAY / (1 - line)
    log_e: Floats = good * np.log1p(stakes * (line - 1)) + (n - good) * np.log1p(stakes * line)
    return log_e
