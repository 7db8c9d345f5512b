# SPDX-License-Identifier: Apache-2.0
"""How many labels a range of a given width needs."""

from __future__ import annotations

import math

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = ["labels_for_half_width", "labels_needed"]


def labels_needed(
    theta: float,
    se: float,
    sp: float,
    half_width: float,
    judged: int | None = None,
    *,
    allocated: bool = True,
) -> int | NotEnoughEvidence:
    """Labels that give a 95 % range of a width, with a judge of known errors.

    Args:
        theta: Expected quality, in (0, 1).
        se: P(judge pass | good), in [0, 1].
        sp: P(judge fail | bad), in [0, 1]. A judge of .5 and .5 is no judge at all.
        half_width: Half of the range, as a fraction in (0, 0.5).
        judged: Judged items, or None for very many.
        allocated: Whether labels are allocated by verdict (Neyman) or drawn uniformly.

    Returns:
        Labels, or `NotEnoughEvidence` when no number of labels would do.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Neyman 1934; Cochran 1977, Sampling Techniques, section 12.3 (double sampling).

    Example:
        >>> labels_needed(0.94, 0.95, 0.90, 0.03), labels_needed(0.94, 0.5, 0.5, 0.03)
        (66, 241)
    """
    theta = check_fraction("theta", theta)
    se = check_fraction("se", se, closed=True)
    sp = check_fraction("sp", sp, closed=True)
    half_width = check_fraction("half_width", half_width, 0.0, 0.5)
    if judged is not None:
        check_count("judged", judged, least=1)
    passes = theta * se + (1 - theta) * (1 - sp)
    weights = np.array([passes, 1 - passes])
    good = np.array([theta * se, theta * (1 - se)])
    rates = np.divide(good, weights, out=np.zeros(2), where=weights > 0)
    need = labels_for_half_width(weights, rates, half_width, judged, allocated=allocated)
    if not math.isfinite(need):
        return NotEnoughEvidence(
            reason=f"{judged} judged items cannot give a range of {200 * half_width:.1f} points",
            have=judged or 0,
            need=math.ceil(_between(weights, rates) / (half_width / 1.96) ** 2) + 1,
            unit="judged",
            remedy="Judge more items of the window.",
        )
    return math.ceil(need - 1e-9)


def labels_for_half_width(
    weights: Floats, rates: Floats, half_width: float, judged: int | None = None, *, allocated: bool = True
) -> float:
    """Labels for a half width from the share and the rate of good items of each verdict.

    Args:
        weights: Share of each verdict, shape (strata,), adding up to 1.
        rates: P(good | verdict), shape (strata,).
        half_width: Half of the 95 % range, as a fraction.
        judged: Judged items, or None for very many.
        allocated: Neyman allocation, or uniform.

    Returns:
        Labels, not rounded; infinite when no number would do.

    Source:
        Cochran 1977, Sampling Techniques, section 12.3.

    Example:
        >>> f"{labels_for_half_width(np.array([1.0]), np.array([0.94]), 0.03):.1f}"
        '240.7'
    """
    within = rates * (1 - rates)
    residual = float((weights @ np.sqrt(within)) ** 2 if allocated else weights @ within)
    room = (half_width / 1.96) ** 2 - (0.0 if judged is None else _between(weights, rates) / judged)
    return residual / room if room > 0 else math.inf


def _between(weights: Floats, rates: Floats) -> float:
    """Variance of P(good | verdict) over verdicts."""
    return float(weights @ (rates - weights @ rates) ** 2)
