# SPDX-License-Identifier: Apache-2.0
"""The detection delay of a weekly drift check, before it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy

from pilothouse.core.statistics.checks import check_count, check_fraction
from pilothouse.core.statistics.detection import Detectability

__all__ = ["WEEKS_MAX", "drift_detectability"]

WEEKS_MAX = 52
"""What is not noticed within a year is not noticed."""


def drift_detectability(
    n_reference: int,
    n_current: int,
    *,
    features: int,
    alarm_p: float,
    shares: Sequence[float] = (0.03, 0.05, 0.07, 0.10),
) -> tuple[Detectability, ...]:
    """Days until a weekly look notices that a share of the cases moved away from all others in one feature.

    Args:
        n_reference: Cases of the reference, at least 1.
        n_current: Cases of a week, at least 1.
        features: Features that are tested together; Holm's correction counts each.
        alarm_p: P-value of one week at which an alarm is raised, in (0, 1).
        shares: Shares of the cases that moved, in (0, 1).

    Returns:
        One for each share, in the order given: weeks on average, whole ones.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Doob 1949: chance that a Brownian bridge, here one that ends at the share that moved, crosses a level.

    Example:
        >>> [(d.drop, d.days) for d in drift_detectability(2_000, 2_000, features=7, alarm_p=1 / 156)]
        [(0.03, None), (0.05, 35), (0.07, 7), (0.1, 7)]
    """
    reference = check_count("n_reference", n_reference, least=1)
    current = check_count("n_current", n_current, least=1)
    features = check_count("features", features, least=1)
    alarm_p = check_fraction("alarm_p", alarm_p)
    root = math.sqrt(reference * current / (reference + current))
    level = float(scipy.special.kolmogi(alarm_p / features))
    found = []
    for share in shares:
        moved = root * check_fraction("shares", share)
        weeks = math.ceil(math.exp(2 * level * max(level - moved, 0.0)))
        days = None if weeks > WEEKS_MAX else 7 * weeks
        found.append(Detectability(drop=share, days=days, labels=None))
    return tuple(found)
