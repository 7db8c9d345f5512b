# SPDX-License-Identifier: Apache-2.0
"""After how many weeks a weekly look at drift would notice that a share of the cases changed, before it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy

from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.detection import Detectability

__all__ = ["WEEKS_MAX", "drift_detectability", "weeks_until"]

WEEKS_MAX = 52
"""What is not noticed within a year is not noticed."""

_P_MIN = 1e-12
"""As small as a p-value of one week counts."""


def weeks_until(p_value: float, threshold: float) -> int | None:
    """Weeks until evidence reaches its alarm when every week's test gives the same p-value.

    Args:
        p_value: Of each week, in [0, 1]; the least that counts is 1e-12.
        threshold: Evidence at which the alarm is raised, above 1.

    Returns:
        None when it never does within a year.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Shiryaev-Roberts step M <- e (M + 1) on e = p^(-1/2) / 2 (Vovk and Wang 2021, E-values).

    Example:
        >>> weeks_until(1e-6, 156.0), weeks_until(1 / 300, 156.0), weeks_until(0.5, 156.0)
        (1, 3, None)
    """
    p_value = check_fraction("p_value", p_value, 0.0, 1.0, closed=True)
    threshold = check_fraction("threshold", threshold, 1.0, 1e9)
    e = 0.5 / math.sqrt(max(p_value, _P_MIN))
    evidence = 0.0
    for week in range(1, WEEKS_MAX + 1):
        evidence = e * (evidence + 1)
        if evidence >= threshold:
            return week
    return None


def drift_detectability(
    n_reference: int,
    n_current: int,
    *,
    features: int,
    threshold: float,
    shares: Sequence[float] = (0.03, 0.05, 0.07, 0.10),
) -> tuple[Detectability, ...]:
    """Days until a weekly look notices that a share of the cases moved away from all others in one feature.

    Args:
        n_reference: Cases of the reference, at least 1.
        n_current: Cases of a week, at least 1.
        features: Features that are tested together; Holm's correction counts each.
        threshold: Evidence at which the alarm is raised.
        shares: Shares of the cases that moved, in (0, 1).

    Returns:
        One for each share, in the order given; a share that moved wholly is the distance that Kolmogorov-Smirnov sees.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Smirnov 1948: asymptotic tail of the two-sample distance, without its noise, which makes evidence grow faster;
        so changes are noticed no later than said, by simulation.

    Example:
        >>> [(d.drop, d.days) for d in drift_detectability(2_000, 2_000, features=7, threshold=156.0)]
        [(0.03, None), (0.05, 63), (0.07, 14), (0.1, 7)]
    """
    reference = check_count("n_reference", n_reference, least=1)
    current = check_count("n_current", n_current, least=1)
    features = check_count("features", features, least=1)
    root = math.sqrt(reference * current / (reference + current))
    found = []
    for share in shares:
        share = check_fraction("shares", share)  # noqa: PLW2901 - the checked value replaces it
        p = max(min(features * float(scipy.special.kolmogorov(root * share)), 1.0), _P_MIN)
        weeks = weeks_until(p, threshold)
        found.append(Detectability(drop=share, days=None if weeks is None else 7 * weeks, labels=None))
    return tuple(found)
