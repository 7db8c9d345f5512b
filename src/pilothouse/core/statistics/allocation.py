# SPDX-License-Identifier: Apache-2.0
"""Allocate labels to items, and score a day from its labelled sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.dates import calendar_day
from pilothouse.core.statistics.checks import Floats, check_count, check_fraction
from pilothouse.core.statistics.daily import DayCounts
from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.quality import Stratum
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence
from pilothouse.core.statistics.wealth import BETS

__all__ = ["PROBABILITY_MIN", "LabelRate", "allocate_labels", "weighted_score"]

PROBABILITY_MIN = 0.002
"""Smallest chance of a label: below, one label would outweigh 500 items."""

_RATES = np.linspace(0.0005, 0.9995, 1000)
"""Qualities that the interval of a day tries: a tenth of a point apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRate:
    """How often items with one verdict are chosen for a label.

    Attributes:
        name: The verdict.
        share: Share of the budget.
        probability: Chance for each item: an independent coin, decided before the item is seen.
    """

    name: str
    share: float
    probability: float


def allocate_labels(
    strata: Sequence[Stratum], expected_judged: float, budget: float, floor: float = 0.30
) -> tuple[LabelRate, ...]:
    """Spread a day's label budget over the judge's verdicts, where labels say most.

    Choose each item by its own coin (for example a hash of its trace id and a salt of the day):
    drawing exactly so many items breaks the guarantee of the detectors.

    Args:
        strata: The last closed window; no judged item in it means equal shares.
        expected_judged: Items that will be judged in the period of the budget, above 0.
        budget: Labels of the period, above 0.
        floor: Smallest share with two verdicts, in (0, 0.5]; with K it is 2 floor / K.

    Returns:
        One rate for each stratum, in the order given; each chance in [0.002, 1].

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Neyman 1934; the floor keeps a window with few labels from starving a verdict.

    Example:
        >>> window = [Stratum(name="pass", judged=1888, labelled=120, good=119),
        ...           Stratum(name="fail", judged=212, labelled=80, good=38)]
        >>> [(r.name, round(r.share, 2)) for r in allocate_labels(window, 300, 20)]
        [('pass', 0.66), ('fail', 0.34)]
    """
    expected_judged = check_fraction("expected_judged", expected_judged, 0.0, 1e9)
    budget = check_fraction("budget", budget, 0.0, 1e9)
    floor = check_fraction("floor", floor, 0.0, 0.5, closed=True)
    kinds = check_count("strata", len(strata), least=1)
    judged = np.array([stratum.judged for stratum in strata], dtype=np.float64)
    good = np.array([(s.good + 0.5) / (s.labelled + 1) for s in strata])
    known = judged.sum() > 0
    weights = (judged + 0.5) / (judged.sum() + kinds / 2)
    spread = judged * np.sqrt(good * (1 - good))
    shares = spread / spread.sum() if known else np.full(kinds, 1 / kinds)
    shares = _raise_to_floor(shares, 2 * floor / kinds if kinds > 1 else 0.0)
    expected = expected_judged * weights
    probability = np.clip(_pour(shares * budget, expected) / expected, PROBABILITY_MIN, 1.0)
    return tuple(
        LabelRate(name=stratum.name, share=float(share), probability=float(chance))
        for stratum, share, chance in zip(strata, shares, probability, strict=True)
    )


def weighted_score(day: DayCounts, level: float = 0.95) -> Estimate | NotEnoughEvidence:
    """Quality of one day: the judge's predictions, corrected by the labels with their weights.

    With few labels the range is wide, and it stays right: it comes from bets, not from a normal
    approximation.

    Args:
        day: A closed day.
        level: Two-sided confidence in (0, 1).

    Returns:
        Mean of Z = m + (Y - m) labelled / probability with its interval (`n` counts labels), clipped
        into [0, 1]; `NotEnoughEvidence` when no label was requested.

    Raises:
        MalformedRecord: A level outside (0, 1).

    Source:
        Cassel, Sarndal and Wretman 1976 (difference estimator); interval of Waudby-Smith and Ramdas
        2024, section 4, on a grid.

    Example:
        >>> from datetime import date
        >>> from pilothouse.core.statistics.daily import DayStratum
        >>> day = DayCounts(day=date(2026, 1, 1), strata=(
        ...     DayStratum(name="pass", judged=270, labelled_good=12, labelled_bad=0, probability=0.0445, predicted=0.98),
        ...     DayStratum(name="fail", judged=30, labelled_good=4, labelled_bad=4, probability=0.264, predicted=0.5)))
        >>> e = weighted_score(day)
        >>> f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"
        '0.950 [0.500, 1.000]'
    """
    level = check_fraction("level", level)
    if not day.informative:
        return NotEnoughEvidence(
            reason=f"no label was requested on {calendar_day(day.day)}",
            have=0,
            need=1,
            unit="labels",
            remedy="Request labels with a chance above 0 for every verdict.",
        )
    scores, counts = _scores(day)
    total = counts.sum()
    n = sum(stratum.labelled for stratum in day.strata)
    value = float(scores @ counts / total)
    low, high = _betting_ends(scores, counts / day.design_effect, level)
    low, high = min(low, 1.0 - 1e-12), max(high, 1e-12)
    value = min(max(value, 0.0), 1.0)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        n=n,
        n_effective=n / day.design_effect,
        unit="rate",
        method=MethodId.WEIGHTED_SCORE,
        guarantee=sentence_at(MethodId.WEIGHTED_SCORE, level),
    )


def _scores(day: DayCounts) -> tuple[Floats, Floats]:
    """Values of Z that occur and how often, each of shape (3 strata,): unlabelled, good, bad."""
    scores: list[float] = []
    counts: list[float] = []
    for s in day.strata:
        if s.judged:
            m = s.predicted
            scores += [m, m + (1 - m) / s.probability, m - m / s.probability]
            counts += [s.judged - s.labelled, s.labelled_good, s.labelled_bad]
    return np.array(scores), np.array(counts, dtype=np.float64)


def _betting_ends(scores: Floats, counts: Floats, level: float) -> tuple[float, float]:
    """Qualities that bets against them do not reject, half of the error on each side."""
    bound = np.log(2 / (1 - level))
    bets = np.array(BETS)[:, None, None]
    ends = []
    for sign, reach in ((1.0, scores.max() - _RATES), (-1.0, _RATES - scores.min())):
        stakes = bets / reach[None, :, None]
        gains = sign * (_RATES[None, :, None] - scores[None, None, :])
        log_wealth = np.log1p(stakes * gains) @ counts
        top = log_wealth.max(axis=0)
        kept = _RATES[top + np.log(np.exp(log_wealth - top).mean(axis=0)) < bound]
        ends.append(kept)
    above, below = ends
    high = 1.0 if len(above) == 0 or above.max() >= _RATES[-1] else float(above.max()) + 0.001
    low = 0.0 if len(below) == 0 or below.min() <= _RATES[0] else float(below.min()) - 0.001
    return max(low, 0.0), min(high, 1.0)


def _raise_to_floor(shares: Floats, floor: float) -> Floats:
    """Raise shares below the floor and shrink the others in proportion, until none lies below."""
    fixed = np.zeros(len(shares), dtype=bool)
    raised = shares.copy()
    while (raised < floor - 1e-12).any():
        fixed |= raised < floor - 1e-12
        raised[fixed] = floor
        rest = shares[~fixed].sum()
        raised[~fixed] = shares[~fixed] / rest * (1 - floor * fixed.sum())
    return raised


def _pour(wanted: Floats, room: Floats) -> Floats:
    """Fill strata with labels; what a full one cannot take goes to the others in proportion."""
    poured = np.minimum(wanted, room)
    free = poured < room - 1e-9
    # Each round ends with nothing left to pour or with one more stratum full.
    while wanted.sum() - poured.sum() > 1e-9 and free.any():
        spill = wanted.sum() - poured.sum()
        poured[free] += spill * wanted[free] / wanted[free].sum()
        poured = np.minimum(poured, room)
        free = poured < room - 1e-9
    return poured
