# SPDX-License-Identifier: Apache-2.0
"""Effective sample of labels that were drawn with unequal probabilities (labels -> stratum)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_fraction
from pilothouse.core.statistics.quality import Stratum

__all__ = ["CHANCES_APART_MAX", "DrawnLabel", "stratum_of_labels"]

CHANCES_APART_MAX = 2.0
"""How many times the smallest chance the largest may be; of what was drawn oftener a part is left out. Weights far apart
rest on a few labels, and their ranges are right too seldom; one chance for all would cost a third of the labels."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLabel:
    """One label and its sampling probability.

    Attributes:
        good: What the person said.
        probability: Chance with which its item was drawn, in (0, 1].
        coin: A number in [0, 1) that neither the draw nor the answer knows, for example a hash of the item's id.
    """

    good: bool
    probability: float
    coin: float

    def __post_init__(self) -> None:
        if self.probability != 1:
            check_fraction("probability", self.probability)
        check_fraction("coin", self.coin, closed=True)


def stratum_of_labels(name: str, judged: int, labels: Sequence[DrawnLabel]) -> Stratum:
    """Return the equivalent simple random sample of labels drawn with unequal probabilities.

    Warnings buy labels, so the days after bad ones have many. Counted plainly they would speak for the whole window.
    With one chance for all it is the labels as they are.

    Args:
        name: The verdict.
        judged: Items with this verdict.
        labels: Labels of items with this verdict, any order.

    Raises:
        MalformedRecord: More labels than items, or an argument outside its range.

    Source:
        Hajek 1971 for the mean; Kish 1965 for what weighted items are worth, or the linearized variance where that says
        less; thinning by an independent coin keeps a random sample random.

    Example:
        >>> many = [DrawnLabel(good=True, probability=0.5, coin=k / 100) for k in range(100)]
        >>> few = [DrawnLabel(good=k > 2, probability=0.05, coin=0.0) for k in range(10)]
        >>> stratum_of_labels("pass", 400, many + few)
        Stratum(name='pass', judged=400, labelled=20, good=17)
    """
    Stratum(name=name, judged=judged, labelled=len(labels), good=sum(one.good for one in labels))
    if not labels:
        return Stratum(name=name, judged=judged, labelled=0, good=0)
    most = CHANCES_APART_MAX * min(one.probability for one in labels)
    kept = [one for one in labels if one.coin * one.probability < most]
    weights = np.array([1 / min(one.probability, most) for one in kept])
    good = np.array([one.good for one in kept], dtype=np.float64)
    rate = float(weights @ good / weights.sum())
    worth = math.floor(_worth(weights, good, rate) + _ROUNDING)
    share = round(rate * worth)
    if not good.all():  # rounding never takes the only bad one away
        share = min(share, worth - 1)
    return Stratum(name=name, judged=judged, labelled=worth, good=share)


def _worth(weights: Floats, good: Floats, rate: float) -> float:
    """Labels of a plain sample that say as much."""
    plain = float(weights.sum() ** 2 / (weights**2).sum())
    spread = float((weights**2) @ (good - rate) ** 2)
    if spread == 0:  # all good or all bad
        return plain
    return min(plain, rate * (1 - rate) * float(weights.sum()) ** 2 / spread)
