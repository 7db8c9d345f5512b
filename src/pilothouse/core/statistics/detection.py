# SPDX-License-Identifier: Apache-2.0
"""The detection delay of an alert rule, before it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction
from pilothouse.core.statistics.daily import design_effect_of_turns
from pilothouse.core.statistics.wealth import BETS

__all__ = ["Detectability", "DetectionDesign", "detectability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionDesign:
    """An alert rule before it runs: what it watches and how many labels it gets.

    Attributes:
        quality: Baseline quality, in (0, 1).
        se: P(judge pass | good).
        sp: P(judge fail | bad).
        judged_per_day: Items judged a day.
        labels_per_day: Labels a day.
        m0: Line of the detector, from `baseline_floor`.
        share_pass: Share of the labels for items that the judge passed; None allocates them by the rule.
        arl_days: Mean days to a false alarm.
        detectors: Detectors that share it.
        turns: Turns that the conversation of an item has on a day, from `mean_turns`.
    """

    quality: float
    se: float
    sp: float
    judged_per_day: int
    labels_per_day: float
    m0: float
    share_pass: float | None = None
    arl_days: float = 365.0
    detectors: int = 1
    turns: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectability:
    """When a drop of one size would be noticed.

    Attributes:
        drop: Size of the drop, as a fraction.
        days: About how many days to the alarm; None means never.
        labels: Labels spent by then; None with `days`.
    """

    drop: float
    days: int | None
    labels: int | None


def detectability(
    design: DetectionDesign, drops: Sequence[float] = (0.03, 0.05, 0.07, 0.10)
) -> tuple[Detectability, ...]:
    """Days until a drop of each size raises an alarm; right within 25 % or 2 days.

    Args:
        design: The alert rule.
        drops: Sizes of drops, as fractions in (0, quality).

    Returns:
        One for each drop, in the order given.

    Raises:
        MalformedRecord: A field outside its range.

    Source:
        Shin, Ramdas and Rinaldo 2022: growth rate of the e-detector's best bet.

    Example:
        >>> design = DetectionDesign(
        ...     quality=0.94, se=0.95, sp=0.90, judged_per_day=300, labels_per_day=20, m0=0.92)
        >>> [(d.drop, d.days) for d in detectability(design)]
        [(0.03, 113), (0.05, 12), (0.07, 5), (0.1, 3)]
    """
    passes, rates = _verdicts(design)
    probability = _probabilities(design, passes, rates)
    alike = design_effect_of_turns(design.turns, np.array([passes, 1 - passes]), rates, probability)
    bound = math.log(design.arl_days * design.detectors) * alike
    found = []
    for drop in drops:
        drop = check_fraction("drops", drop, 0.0, design.quality)  # noqa: PLW2901 - the checked value replaces it
        growth = _growth(design, drop, rates, probability) if design.labels_per_day else 0.0
        days = None if growth <= 0 else round(bound / (design.judged_per_day * growth)) + 1
        labels = None if days is None else round(days * design.labels_per_day)
        found.append(Detectability(drop=drop, days=days, labels=labels))
    return tuple(found)


def _growth(design: DetectionDesign, drop: float, predicted: Floats, probability: Floats) -> float:
    """Largest mean log growth of a bet per judged item, when quality fell by `drop`."""
    theta = design.quality - drop
    joint = np.array(
        [
            [theta * design.se, (1 - theta) * (1 - design.sp)],
            [theta * (1 - design.se), (1 - theta) * design.sp],
        ]
    )
    reach = float(np.max(predicted + (1 - predicted) / probability)) - design.m0
    bets = np.array(BETS)[:, None] / reach
    gap = design.m0 - predicted
    unlabelled = np.log1p(bets * gap) * (joint.sum(axis=1) * (1 - probability))
    good = np.log1p(bets * (gap - (1 - predicted) / probability)) * (joint[:, 0] * probability)
    bad = np.log1p(bets * (gap + predicted / probability)) * (joint[:, 1] * probability)
    return float((unlabelled + good + bad).sum(axis=1).max())


def _verdicts(design: DetectionDesign) -> tuple[float, Floats]:
    """Share of judge passes, and P(good | pass), P(good | fail) at the baseline."""
    theta = check_fraction("quality", design.quality)
    check_fraction("m0", design.m0, 0.01, 0.999)
    check_count("judged_per_day", design.judged_per_day, least=1)
    check_fraction("labels_per_day", design.labels_per_day, 0.0, float(design.judged_per_day), closed=True)
    se, sp = check_fraction("se", design.se), check_fraction("sp", design.sp)
    passes = theta * se + (1 - theta) * (1 - sp)
    rates = np.array([theta * se / passes, theta * (1 - se) / (1 - passes)])
    return passes, rates


def _probabilities(design: DetectionDesign, passes: float, rates: Floats) -> Floats:
    weights = np.array([passes, 1 - passes])
    if design.share_pass is None:
        shares = weights * np.sqrt(rates * (1 - rates))
        share_pass = float(np.clip(shares[0] / shares.sum(), 0.3, 0.7))
    else:
        share_pass = check_fraction("share_pass", design.share_pass, closed=True)
    split = np.array([share_pass, 1 - share_pass])
    chances: Floats = np.clip(split * design.labels_per_day / (design.judged_per_day * weights), 0.002, 1.0)
    # The least chance of an item asks for labels as well: no more of them than there are.
    return chances * min(1.0, design.labels_per_day / (design.judged_per_day * float(weights @ chances)))
