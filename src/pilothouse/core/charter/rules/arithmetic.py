# SPDX-License-Identifier: Apache-2.0
"""The arithmetic behind two warnings: what can be proven with n cases, and when a drop is seen.

Written on the standard library, because `check` runs in a fraction of a second and importing a
numerical library takes longer than that. The tests compare both functions with one.
"""

from __future__ import annotations

import math

__all__ = ["cases_to_prove", "days_to_detect", "jeffreys_proves"]

CASES_MAX = 100_000
"""No charter asks for more labelled cases than this."""

SERIES_TERMS_MAX = 20_000
"""Terms of the series. Bounds from 0.002 up need fewer; below that the answer errs to "not proven"."""

LOG_CERTAIN = -30.0
"""bound^n below e^-30: proven beyond any doubt, and the series would only risk an overflow."""

TOLERANCE_POINTS = 2.0
"""Inside this band the drop detector never alarms, by design."""

QUIET_DAYS = 365.0
"""Mean days between false alarms that the drop detector is set to."""

PROOF_ALPHA = 0.05
"""One-sided error of every proof by a bound."""


def jeffreys_proves(right: int, bound: float) -> bool:
    """Return whether `right` of `right` good cases prove a rate of at least `bound`.

    The one-sided 95 % lower Jeffreys bound reaches the bound exactly when a Beta(right + 1/2, 1/2)
    variable lies below it with probability 5 % or less.

    Args:
        right: Cases, all of them good; 0 proves nothing.
        bound: Rate in (0, 1).

    Source:
        Brown, Cai and DasGupta 2001, section 3.1.3; the series of the incomplete beta function is
        DLMF 8.17.8.

    Example:
        >>> jeffreys_proves(60, 0.95), jeffreys_proves(20, 0.95)
        (True, False)
    """
    if right < 1:
        return False
    if right * math.log(bound) < LOG_CERTAIN:
        return True
    a, b, below = 0.5, right + 0.5, 1.0 - bound
    log_front = a * math.log(below) + b * math.log(bound) - math.log(a)
    log_front -= math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    term = total = 1.0
    for k in range(SERIES_TERMS_MAX):
        term *= (a + b + k) / (a + 1 + k) * below
        total += term
        if term < total * 1e-15:
            break
    return math.exp(log_front) * total >= 1 - PROOF_ALPHA


def cases_to_prove(bound: float) -> int:
    """Return the least number of cases that could prove a rate, all of them good.

    Args:
        bound: Rate in (0, 1).

    Example:
        >>> cases_to_prove(0.95)
        38
    """
    low, high = 0, CASES_MAX
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if jeffreys_proves(middle, bound) else (middle, high)
    return high


def days_to_detect(*, rate: float, drop_points: float, scored_per_day: float, detectors: int) -> float:
    """Return about how many days pass until the drop detector sees a drop.

    With G = scored a day times the Kullback-Leibler divergence of the fallen rate from the edge of the
    tolerance band, the detector needs about ln(quiet days · detectors · G) / G days. On the two
    simulated points that are published with the detector (labels only, 20 a day, 0.94) this gives
    33 and 8 days; the simulation's medians are 31 and 8.

    Args:
        rate: Rate before the drop, in (0, 1).
        drop_points: Size of the drop in points.
        scored_per_day: Scored tasks a day, 0 or more.
        detectors: Task types watched at once, 1 or more.

    Returns:
        Days, at least 1; infinite for a drop inside the tolerance, or without scored tasks.

    Source:
        Pollak 1985 for the Shiryaev-Roberts rule: delay = (log threshold + log drift) / drift.

    Example:
        >>> f"{days_to_detect(rate=0.94, drop_points=10, scored_per_day=20, detectors=1):.1f}"
        '8.0'
    """
    edge = rate - TOLERANCE_POINTS / 100
    fallen = max(rate - drop_points / 100, 1e-6)
    if scored_per_day <= 0 or fallen >= edge:
        return math.inf
    growth = scored_per_day * (
        fallen * math.log(fallen / edge) + (1 - fallen) * math.log((1 - fallen) / (1 - edge))
    )
    return max(1.0, math.log(max(QUIET_DAYS * detectors * growth, math.e)) / growth)
