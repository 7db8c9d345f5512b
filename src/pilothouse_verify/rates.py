# SPDX-License-Identifier: Apache-2.0
"""Jeffreys bounds of a rate in plain Python, and the independent cases that a record's cases are worth.

Written from the formulas and not from the product's code, which takes them from scipy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "bad_without_largest",
    "counts_of",
    "jeffreys_lower",
    "jeffreys_upper",
    "regularised_beta",
    "worth_of",
]

Json = Mapping[str, Any]

_TINY = 1e-300
_STEPS_MAX = 10_000
_HALVINGS = 200


def regularised_beta(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), by its continued fraction.

    Source:
        DLMF 8.17.22, evaluated by the modified method of Lentz.

    Example:
        >>> round(regularised_beta(0.5, 2.0, 2.0), 12)
        0.5
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - regularised_beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS_MAX):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + numerator * d)
            c = _away(1 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction / a


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _quantile(p: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if regularised_beta(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def jeffreys_lower(good: int, n: int, level: float = 0.95) -> float:
    """Return the one-sided lower bound of a rate.

    Example:
        >>> f"{jeffreys_lower(200, 200):.4f}"
        '0.9905'
    """
    return 0.0 if good == 0 else _quantile(1 - level, good + 0.5, n - good + 0.5)


def jeffreys_upper(good: int, n: int, level: float = 0.95) -> float:
    """Return the one-sided upper bound of a rate.

    Example:
        >>> f"{jeffreys_upper(0, 200):.4f}"
        '0.0095'
    """
    return 1.0 if good == n else _quantile(level, good + 0.5, n - good + 0.5)


def counts_of(record: Json) -> tuple[int, int, int, int]:
    """Return the good, the bad and the unknown cases of a record, and all of them.

    Example:
        >>> counts_of({"n": 10, "good": 7, "counts": {"unknown": 1}})
        (7, 2, 1, 10)
    """
    good = record["good"] or 0
    unknown = min(record["counts"].get("unknown", 0), record["n"] - good)
    return good, record["n"] - good - unknown, unknown, record["n"]


def worth_of(record: Json) -> int:
    """Return the independent cases that those of a record are worth, where turns of one conversation are among them.

    Example:
        >>> worth_of({"n": 300, "counts": {"worth": 12}})
        12
    """
    return _within(record["counts"].get("worth", record["n"]), record["n"])


def bad_without_largest(record: Json, level: float) -> float:
    """Return the lower bound of the rate of bad cases that those without the largest conversations give.

    Each turn of the largest conversations counts as good; 0 where the record sets none apart.

    Example:
        >>> counts = {"rest": 300, "rest_bad": 45, "rest_worth": 300}
        >>> f"{bad_without_largest({'n': 360, 'good': 255, 'counts': counts}, 0.95):.3f}"
        '0.099'
    """
    n, counts = int(record["n"]), record["counts"]
    if "rest" not in counts:
        return 0.0
    rest = _within(counts["rest"], n)
    worth = _within(counts.get("rest_worth", 1), rest)
    _, surely_bad, _, _ = counts_of(record)
    bad = min(max(counts.get("rest_bad", 0), 0), surely_bad, rest)
    return jeffreys_lower(bad * worth // rest, worth, level) * rest / n


def _within(cases: int, n: int) -> int:
    return min(max(cases, 1), n)
