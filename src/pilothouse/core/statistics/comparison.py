# SPDX-License-Identifier: Apache-2.0
"""Decide a comparison of pairs: the scaled score statistic against a critical value, with every number behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy

from pilothouse.core.statistics.intervals import jeffreys_upper
from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.power import cases_needed
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.tango import tango_limits, tango_z

__all__ = [
    "PAIRS_MIN",
    "Comparison",
    "Decision",
    "compare",
    "few_pairs",
]

PAIRS_MIN = 20
"""Pairs below which no decision is made."""


class Decision(StrEnum):
    """The decision of a comparison."""

    NOT_WORSE = "not_worse"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The decision and every number behind it.

    Attributes:
        decision: Not worse by the margin, worse by the margin, or undecided.
        slightly_worse: Not worse by the margin, and yet proved to be worse.
        difference: Candidate minus baseline, with the interval that belongs to the decision.
        margin: Largest loss that still counts as not worse.
        alpha: Chance of "not worse" at the margin.
        z: Score statistic, scaled for clusters or repeats.
        critical: Value that z was held against.
        wins: Pairs in which only the candidate is good (b).
        losses: Pairs in which only the baseline is good (c).
        n: Pairs.
        design_effect: What clustering costs (above 1) or repeats save (below 1).
        looks: Looks so far, this one included.
        stop: Whether nothing more should be run: the decision is made, or more cases are futile.
        needed: How many cases would decide it, when it is undecided.
        method: Which rule.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    decision: Decision
    slightly_worse: bool
    difference: Estimate
    margin: float
    alpha: float
    z: float
    critical: float
    wins: float
    losses: float
    n: int
    design_effect: float
    looks: int
    stop: bool
    needed: NotEnoughEvidence | None
    method: MethodId
    guarantee: str
    notes: tuple[str, ...] = ()


def few_pairs(flips: float, n: int, margin: float, alpha: float) -> NotEnoughEvidence | None:
    """Return how many pairs are missing before any decision is possible, or None.

    Args:
        flips: Pairs that differ.
        n: Pairs.
        margin: Margin, in (0, 0.5).
        alpha: Level, in (0, 0.5).

    Example:
        >>> few_pairs(0, 40, 0.05, 0.05).need
        52
    """
    # Without any flip z = sqrt(n m / (1 - m)), so fewer pairs than this cannot decide anything.
    least = math.ceil(float(scipy.special.ndtri(1 - alpha)) ** 2 * (1 - margin) / margin + 1e-9)
    need = max(PAIRS_MIN, least) if flips < 2 else PAIRS_MIN
    if n >= need:
        return None
    return NotEnoughEvidence(
        reason=f"{n} pairs with {flips:g} flips cannot decide a margin of {100 * margin:g} points",
        have=n, need=need, unit="pairs",
        remedy=f"Run at least {need - n} more cases under both versions.",
    )  # fmt: skip


def compare(
    b: float,
    c: float,
    n: int,
    *,
    margin: float,
    alpha: float,
    critical: float,
    design_effect: float,
    looks: int,
    method: MethodId,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Compare the scaled Tango statistic with a critical value, and decide.

    Args:
        b: Pairs in which only the candidate is good.
        c: Pairs in which only the baseline is good.
        n: Pairs, at least 1.
        margin: Margin.
        alpha: Level of the whole procedure.
        critical: Value for the decision and for the interval, so that both say the same.
        design_effect: Variance relative to independent pairs.
        looks: Looks so far.
        method: Which rule asks.
        notes: What a reader must know besides.

    Example:
        >>> compare(10.0, 14.0, 200, margin=0.05, alpha=0.05, critical=1.645,
        ...     design_effect=1.0, looks=1, method=MethodId.PAIRED_NON_INFERIORITY).needed.need
        401
    """
    root = math.sqrt(design_effect)
    z = (
        float(tango_z(np.asarray(b, dtype=np.float64), np.asarray(c, dtype=np.float64), float(n), margin))
        / root
    )
    low, high = tango_limits(b, c, n, critical * root)
    decision = Decision.UNDECIDED
    if z > critical:
        decision = Decision.NOT_WORSE
    elif z < -critical:
        decision = Decision.WORSE
    value = (b - c) / n
    difference = Estimate(
        value=value, low=min(low, value), high=max(high, value), level=1 - 2 * alpha,
        n=n, n_effective=n / design_effect, unit="rate", method=method,
        guarantee=f"The true difference is in this range; such ranges are right {100 * (1 - 2 * alpha):g} times in 100.",
    )  # fmt: skip
    needed = None
    if decision is Decision.UNDECIDED:
        needed = _needed(b + c, n, margin, alpha, max(design_effect, 1.0))
    sentence = sentence_at(method, 0.95)
    if not math.isclose(alpha, 0.05):
        sentence = sentence.replace("At most 1 in 20 releases", f"At most {100 * alpha:g} in 100 releases")
    return Comparison(
        decision=decision,
        slightly_worse=decision is Decision.NOT_WORSE and high < 0,
        difference=difference,
        margin=margin,
        alpha=alpha,
        z=z,
        critical=critical,
        wins=float(b),
        losses=float(c),
        n=n,
        design_effect=design_effect,
        looks=looks,
        stop=decision is not Decision.UNDECIDED,
        needed=needed,
        method=method,
        guarantee=sentence,
        notes=notes,
    )


def _needed(flips: float, n: int, margin: float, alpha: float, design_effect: float) -> NotEnoughEvidence:
    upper = min(jeffreys_upper(min(math.ceil(flips), n), n), 1 - 1e-9)
    planned = cases_needed(margin, upper, alpha=alpha, design_effect=design_effect)
    need = planned if isinstance(planned, int) else n + 1
    if need <= n:
        reason = f"{n} pairs would decide a harmless change with 80 % chance; this one is neither proved nor refuted"
        return NotEnoughEvidence(
            reason=reason, have=n, need=2 * n, unit="pairs",
            remedy="Run as many cases again, or look at the pairs that flipped.",
        )  # fmt: skip
    return NotEnoughEvidence(
        reason=f"{n} pairs do not decide a margin of {100 * margin:g} points at this flip rate",
        have=n, need=need, unit="pairs",
        remedy=f"Run about {need - n} more cases under both versions.",
    )  # fmt: skip
