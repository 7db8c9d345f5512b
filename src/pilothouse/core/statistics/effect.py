# SPDX-License-Identifier: Apache-2.0
"""The relative change of an outcome between a group with the agent and a holdout without it, by cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy

from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = ["UNITS_MIN", "relative_change"]

UNITS_MIN = 20
"""Units in each group below which the spread between units cannot be estimated well enough to decide anything."""


def relative_change(
    treated: Sequence[Sequence[float]], held_out: Sequence[Sequence[float]], *, level: float = 0.95
) -> Estimate | NotEnoughEvidence:
    """Return mean(treated) / mean(held out) - 1 with its interval.

    A unit (a supplier, a customer) is one cluster: its cases hang together, so it counts once. The
    interval is that of the log of the ratio of means, with the variance of each mean between units and
    Student's t at the degrees of freedom of Welch and Satterthwaite.

    Args:
        treated: Values of each unit that the agent served, shape (units, cases of the unit), positive mean.
        held_out: Values of each unit of the holdout.
        level: Confidence of the two-sided interval, in (0, 1).

    Returns:
        The change as a fraction, for example -0.3; or why there is none.

    Source:
        Ratio of means by the delta method (Deng, Knoblich, Lu 2018); degrees of freedom by Welch 1947.

    Example:
        >>> same = [[3.0, 3.4], [2.8], [3.1]] * 10
        >>> found = relative_change(same, same)
        >>> found.low < 0 < found.high and found.value == 0
        True
    """
    groups = [[np.asarray(unit, dtype=float) for unit in group if len(unit)] for group in (treated, held_out)]
    short = min(len(group) for group in groups)
    if short < UNITS_MIN:
        return NotEnoughEvidence(
            reason=f"{short} units in the smaller group; {UNITS_MIN} are needed to know how units differ",
            have=short,
            need=UNITS_MIN,
            unit="units",
            remedy="Measure on, or hold out a larger share.",
        )
    means, errors = zip(*(_mean_by_cluster(group) for group in groups), strict=True)
    if min(means) <= 0:
        return NotEnoughEvidence(
            reason="a group has no positive mean, so there is no ratio to speak of",
            have=short,
            need=None,
            unit="units",
            remedy="Commit to a metric whose values are positive.",
        )
    relative = [error / mean for error, mean in zip(errors, means, strict=True)]
    spread = math.hypot(*relative)
    degrees = _welch(relative, [len(group) for group in groups])
    half = float(scipy.special.stdtrit(degrees, 0.5 + level / 2)) * spread
    centre = math.log(means[0] / means[1])
    return Estimate(
        value=math.expm1(centre),
        low=math.expm1(centre - half),
        high=math.expm1(centre + half),
        level=level,
        n=sum(len(unit) for group in groups for unit in group),
        n_effective=float(sum(len(group) for group in groups)),
        unit="rate",
        method=MethodId.RELATIVE_CHANGE,
        guarantee=sentence_at(MethodId.RELATIVE_CHANGE, level),
    )


def _mean_by_cluster(units: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the mean over all cases and its standard error between units."""
    sizes = np.array([len(unit) for unit in units], dtype=float)
    sums = np.array([unit.sum() for unit in units])
    mean = float(sums.sum() / sizes.sum())
    residual = (sums - mean * sizes) / sizes.mean()
    count = len(units)
    return mean, float(math.sqrt(float(np.sum(residual**2)) / (count * (count - 1))))


def _welch(errors: Sequence[float], counts: Sequence[int]) -> float:
    parts = [error**2 for error in errors]
    below = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return sum(parts) ** 2 / below if below > 0 else float(sum(counts) - 2)
