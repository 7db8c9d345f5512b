# SPDX-License-Identifier: Apache-2.0
"""Power of release decisions: cases needed, and the smallest detectable difference."""

from __future__ import annotations

import math

import numpy as np
import scipy

from pilothouse.core.statistics.checks import check_count, check_fraction, malformed
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.statistics.tango import tango_z

__all__ = [
    "EXACT_CASES_MAX",
    "cases_needed",
    "release_power",
    "smallest_detectable",
]

EXACT_CASES_MAX = 2_000
"""Cases for which the power is summed exactly: beyond, the closed form is right within a case or two."""

_NEGLIGIBLE = 1e-12
"""Probability of a number of flips below which its outcomes are not summed."""


def cases_needed(
    margin: float,
    flip_rate: float,
    power: float = 0.8,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    *,
    exact: bool = False,
) -> int | NotEnoughEvidence:
    """Paired cases that release a harmless change with the stated chance.

    Args:
        margin: Largest loss that still counts as not worse, in (0, 0.5).
        flip_rate: Share of cases on which two runs differ, in (0, 1).
        power: Chance of "not worse" when nothing changed, in (0, 1).
        alpha: Chance of "not worse" at the margin, in (0, 0.5).
        design_effect: What clustering costs, at least 1.
        exact: Sum the trinomial with the Tango decision instead of the closed form, which is
            optimistic below about 30 flips; at most `EXACT_CASES_MAX` cases.

    Returns:
        Cases (pairs); `NotEnoughEvidence` only when the exact search ends without reaching the power.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Connor 1987, Biometrics 43, at no true difference.

    Example:
        >>> cases_needed(0.05, 0.06), cases_needed(0.02, 0.10)
        (149, 1546)
    """
    margin, flip_rate, power, alpha, design_effect = _plan(margin, flip_rate, power, alpha, design_effect)
    sigma = scipy.special.ndtri(1 - alpha) + scipy.special.ndtri(power)
    closed = math.ceil(sigma**2 * flip_rate * design_effect / margin**2 - 1e-9)
    if not exact:
        return closed
    n = _first_reaching(power, margin, flip_rate, alpha)
    if n is None:
        return NotEnoughEvidence(
            reason=f"{EXACT_CASES_MAX} cases do not reach a power of {power:g}",
            have=EXACT_CASES_MAX,
            need=closed,
            unit="cases",
            remedy="Widen the margin, or plan with the closed form.",
        )
    return math.ceil(n * design_effect)


def smallest_detectable(
    n: int, flip_rate: float, power: float = 0.8, alpha: float = 0.05, design_effect: float = 1.0
) -> float:
    """Smallest margin that so many paired cases can decide with the stated chance.

    Args:
        n: Cases (pairs), at least 1.
        flip_rate: Share of cases on which two runs differ, in (0, 1).
        power: Chance of "not worse" when nothing changed, in (0, 1).
        alpha: Chance of "not worse" at the margin, in (0, 0.5).
        design_effect: What clustering costs, at least 1.

    Returns:
        Margin as a fraction; above 0.5 it means that nothing useful is seen.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Connor 1987, Biometrics 43, inverted.

    Example:
        >>> f"{smallest_detectable(200, 0.06):.3f}"
        '0.043'
    """
    n = check_count("n", n, least=1)
    _, flip_rate, power, alpha, design_effect = _plan(0.1, flip_rate, power, alpha, design_effect)
    sigma = scipy.special.ndtri(1 - alpha) + scipy.special.ndtri(power)
    return float(sigma * math.sqrt(flip_rate * design_effect / n))


def release_power(
    n: int, flip_rate: float, margin: float, difference: float = 0.0, alpha: float = 0.05
) -> float:
    """Exact chance that the Tango test says "not worse", summed over all outcomes.

    Args:
        n: Cases (pairs), 1 to `EXACT_CASES_MAX`.
        flip_rate: Share of cases on which the versions differ, above |difference|.
        margin: Margin of the test, in (0, 0.5).
        difference: True difference, candidate minus baseline, in (-1, 1).
        alpha: Level of the test, in (0, 0.5).

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Trinomial distribution of (b, c); decision of Tango 1998.

    Example:
        >>> f"{release_power(200, 0.06, 0.05):.2f} {release_power(200, 0.06, 0.05, -0.05):.3f}"
        '0.85 0.039'
    """
    n = check_count("n", n, least=1, most=EXACT_CASES_MAX)
    margin, flip_rate, _, alpha, _ = _plan(margin, flip_rate, 0.8, alpha, 1.0)
    difference = check_fraction("difference", difference, -1.0, 1.0)
    if abs(difference) > flip_rate:
        raise malformed("difference", difference, "a difference no larger than the flip rate")
    better = (flip_rate + difference) / (2 * flip_rate)
    critical = scipy.special.ndtri(1 - alpha)
    flips = np.arange(n + 1)
    log_choose = (
        scipy.special.gammaln(n + 1) - scipy.special.gammaln(flips + 1) - scipy.special.gammaln(n - flips + 1)
    )
    chance = np.exp(
        log_choose + scipy.special.xlogy(flips, flip_rate) + scipy.special.xlog1py(n - flips, -flip_rate)
    )
    total = 0.0
    for flip in np.flatnonzero(chance > _NEGLIGIBLE):
        wins = np.arange(flip + 1)
        passes = (
            tango_z(wins.astype(np.float64), (flip - wins).astype(np.float64), float(n), margin) > critical
        )
        least = int(np.argmax(passes)) if passes.any() else int(flip) + 1
        total += (
            float(chance[flip] * scipy.special.bdtrc(least - 1, int(flip), better))
            if least
            else float(chance[flip])
        )
    return min(total, 1.0)


def _first_reaching(power: float, margin: float, flip_rate: float, alpha: float) -> int | None:
    """Smallest n whose exact power reaches the wanted one and keeps it for the next 10."""
    n, streak = 20, 0
    while n <= EXACT_CASES_MAX:
        streak = streak + 1 if release_power(n, flip_rate, margin, alpha=alpha) >= power else 0
        if streak == 10:
            return n - 9
        n += 1
    return None


def _plan(
    margin: float, flip_rate: float, power: float, alpha: float, design_effect: float
) -> tuple[float, float, float, float, float]:
    return (
        check_fraction("margin", margin, 0.0, 0.5),
        check_fraction("flip_rate", flip_rate),
        check_fraction("power", power),
        check_fraction("alpha", alpha, 0.0, 0.5),
        check_fraction("design_effect", design_effect, 1.0, 1e6, closed=True),
    )
