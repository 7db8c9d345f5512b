# SPDX-License-Identifier: Apache-2.0
"""One-sided bounds of means and quantiles of measured quantities, such as cost and latency."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction, finite_array, malformed
from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence, Unit

__all__ = ["MEAN_CASES_MIN", "mean_bounds", "quantile_bounds"]

MEAN_CASES_MIN = 100
"""Cases below which no bound of a mean is given: costs are skewed."""

_SKEWNESS_HIDDEN = 3.0
"""How much of its skewness a sample hides, per skewness seen over the root of n (by simulation)."""

_SKEWNESS_STEPS = 16
"""Values of the skewness that are tried between the one seen and the corrected one."""


def quantile_bounds(
    values: Sequence[float] | NDArray[np.generic],
    q: float,
    level: float = 0.95,
    *,
    unit: Unit = "seconds",
    effective: int | None = None,
) -> Estimate | NotEnoughEvidence:
    """One-sided bounds of a quantile from order statistics, whatever the distribution.

    Args:
        values: Sorted from small to large, shape (n,). The 95th percentile needs n >= 59.
        q: Which quantile, in (0, 1).
        level: Confidence of each bound alone, in (0, 1).
        unit: Unit of the values.
        effective: How many independent values they are worth, at most n; None where each is one. The bounds are the sample
            quantiles at the ranks that so many have.

    Returns:
        Sample quantile with low and high, each a one-sided bound at `level`; or how many values
        both bounds need.

    Raises:
        MalformedRecord: NaN, infinite, not sorted, or q or level outside (0, 1).
        LimitExceeded: More than ten million values.

    Source:
        David and Nagaraja 2003, Order Statistics, section 7.1; Woodruff 1952 for clustered values.

    Example:
        >>> e = quantile_bounds([float(i) for i in range(1, 201)], 0.95)
        >>> e.low, e.value, e.high
        (185.0, 190.0, 196.0)
    """
    q = check_fraction("q", q)
    level = check_fraction("level", level)
    array = finite_array("values", values)
    falls = np.diff(array) < 0
    if falls.any():
        index = int(np.argmax(falls)) + 1
        raise malformed("values", float(array[index]), "values sorted from small to large", index=index)
    n = len(array)
    worth = n if effective is None else check_count("effective", effective, least=0, most=n)
    need = math.ceil(math.log(1 - level) / math.log(max(q, 1 - q)) - 1e-9)
    if worth < need:
        return NotEnoughEvidence(
            reason=f"a bound of the {q:g} quantile needs at least {need} values; there are {worth}",
            have=worth, need=need, unit="cases",
            remedy=f"Measure {need - worth} more cases.",
        )  # fmt: skip
    below = scipy.special.bdtr(np.arange(worth), worth, q)
    above = math.ceil((int(np.argmax(below >= level)) + 1) * n / worth - 1e-9) - 1
    under = math.ceil(int(np.argmax(below > 1 - level)) * n / worth - 1e-9) - 1
    return Estimate(
        value=float(array[min(n, math.ceil(n * q - 1e-9)) - 1]),
        low=float(array[under]),
        high=float(array[above]),
        level=level,
        n=n,
        n_effective=float(worth),
        unit=unit,
        method=MethodId.QUANTILE_BOUNDS,
        guarantee=sentence_at(MethodId.QUANTILE_BOUNDS, level),
    )


def mean_bounds(
    values: Sequence[float] | NDArray[np.generic], level: float = 0.95, *, unit: Unit = "usd"
) -> Estimate | NotEnoughEvidence:
    """One-sided bounds of a mean of skewed values, such as cost per task.

    The plain t bound is too low for costs, whose long tail is on the right; Hall's transformation
    moves both bounds to the right by what the sample's skewness says. A sample shows less skewness
    than its source has, the more so the more it shows, so each bound is the farther one of what the
    skewness seen and a corrected skewness say.

    Args:
        values: One per case, shape (n,), any order. At least 100.
        level: Confidence of each bound alone, in (0, 1).
        unit: Unit of the values.

    Returns:
        Mean with low and high, each a one-sided bound at `level`.

    Raises:
        MalformedRecord: NaN, infinite, or a level outside (0, 1).
        LimitExceeded: More than ten million values.

    Source:
        Hall 1992, equations 2.2 and 2.3 (the monotone cubic transformation), taken over every skewness
        from the sample's g to g (1 + 3 |g| / sqrt(n)). The factor 3 is ours, by simulation: lognormal
        costs of sigma up to 1.2 stay under the upper bound in at least 94.5 % from 100 cases on
        (docs/decisions/0040).

    Example:
        >>> e = mean_bounds([1.0, 2.0, 3.0, 10.0] * 50)
        >>> f"{e.low:.2f} {e.value:.2f} {e.high:.2f}"
        '3.60 4.00 4.44'
    """
    level = check_fraction("level", level)
    array = finite_array("values", values)
    n = len(array)
    if n < MEAN_CASES_MIN:
        return NotEnoughEvidence(
            reason=f"a bound of a mean of skewed values needs at least {MEAN_CASES_MIN} cases; there are {n}",
            have=n, need=MEAN_CASES_MIN, unit="cases",
            remedy=f"Measure {MEAN_CASES_MIN - n} more cases.",
        )  # fmt: skip
    mean = float(array.mean())
    deviations = array - mean
    spread = float(np.sqrt(np.mean(deviations**2)))
    low = high = mean
    notes: tuple[str, ...] = ()
    if spread > 1e-12 * max(1.0, abs(mean)):
        skew = float(np.mean((deviations / spread) ** 3))
        quantile = float(scipy.special.stdtrit(n - 1, level))
        scale = spread / math.sqrt(n - 1)
        low = mean - float(_untransform(quantile, skew, n).max()) * scale
        high = mean - float(_untransform(-quantile, skew, n).min()) * scale
    else:
        notes = ("all values are equal: the range says only that nothing varied in these cases",)
    return Estimate(
        value=mean,
        low=min(low, mean),
        high=max(high, mean),
        level=level,
        n=n,
        n_effective=float(n),
        unit=unit,
        method=MethodId.MEAN_BOUNDS,
        guarantee=sentence_at(MethodId.MEAN_BOUNDS, level),
        notes=notes,
    )


def _untransform(t: float, skew: float, n: int) -> Floats:
    """Invert Hall's cubic g(T) = T + cT^2/3 + c^2T^3/27 + c/6 for every skewness that is thinkable.

    The inverse turns back when c grows, so its extreme may lie inside the range: all of it is tried.
    """
    seen = skew / math.sqrt(n)
    if abs(seen) < 1e-9:
        return np.array([t])
    c = seen * np.linspace(1.0, 1.0 + _SKEWNESS_HIDDEN * abs(seen), _SKEWNESS_STEPS)
    inverse: Floats = 3 / c * (np.cbrt(1 + c * (t - c / 6)) - 1)
    return inverse
