# SPDX-License-Identifier: Apache-2.0
"""The accuracy of a judge, and the agreement of two people."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction, malformed
from pilothouse.core.statistics.lattice import beta_draws, dirichlet_draws, posterior_ends
from pilothouse.core.statistics.methods import METHODS, MethodId, sentence_at
from pilothouse.core.statistics.quality import Stratum
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence, Unit

__all__ = [
    "AGREEMENT_ITEMS_MIN",
    "CARD_LABELS_MIN",
    "J_MIN",
    "Agreement",
    "JudgeCard",
    "JudgedMargin",
    "MarginRule",
    "agreement",
    "judge_card",
    "judged_margin",
]

CARD_LABELS_MIN = 30
"""Labels in each verdict below which no card is written."""

AGREEMENT_ITEMS_MIN = 30
"""Items rated by both people below which no agreement is stated."""

J_MIN = 0.3
"""Lower bound of Youden's J below which a judge cannot decide a margin."""

MarginRule = Literal["proved", "tight"]

_CELL_NAMES = ("both pass", "only the first", "only the second", "both fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCard:
    """The measured accuracy of a judge.

    Attributes:
        se: P(judge pass | good).
        sp: P(judge fail | bad): how many bad answers it catches.
        j: Youden's J, se + sp - 1: how much of a difference it shows.
        kappa: Agreement beyond chance; shown, never a gate.
        ac1: Gwet's AC1; never alone, it hides a judge that misses failures where failures are rare.
        quality: Quality of the window it was measured on.
        se_lower: One-sided lower bound of `se` at the card's level.
        sp_lower: One-sided lower bound of `sp` at the card's level.
        n: Labels.
        identity: Digest of judge model and prompt, or empty.
        strata: The counts behind it.
        design_effect: What it costs that labels are of turns of the same conversations.
    """

    se: Estimate
    sp: Estimate
    j: Estimate
    kappa: Estimate
    ac1: Estimate
    quality: Estimate
    se_lower: float
    sp_lower: float
    n: int
    identity: str
    strata: tuple[Stratum, Stratum]
    design_effect: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement of two people on the same items.

    Attributes:
        kappa: Cohen's kappa.
        ac1: Gwet's AC1.
        alpha: Krippendorff's alpha.
        observed: Share of items on which they agree.
        n: Items.
    """

    kappa: Estimate
    ac1: Estimate
    alpha: Estimate
    observed: Estimate
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMargin:
    """The margin to hold judged differences against.

    Attributes:
        margin: The smaller margin, as a fraction.
        alpha: Level at which to test.
        j_low: Lower bound of Youden's J that made it.
        rule: `proved` or `tight`.
        n: Labels behind the bound.
        guarantee: What may be believed, one sentence.
        notes: What a reader must know besides.
    """

    margin: float
    alpha: float
    j_low: float
    rule: MarginRule
    n: int
    guarantee: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cells:
    """Shares of the 2 x 2 table, one value or one for each draw."""

    both: Floats
    first: Floats
    second: Floats
    neither: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Observed shares, draws of the true ones, and where they come from."""

    point: _Cells
    draws: _Cells
    n: int
    method: MethodId
    design_effect: float = 1.0


def judge_card(
    strata: Sequence[Stratum], *, level: float = 0.95, identity: str = "", design_effect: float = 1.0
) -> JudgeCard | NotEnoughEvidence:
    """Measure a judge against labels that were drawn at random within each verdict.

    Label about 100 items that it failed and 100 that it passed: among 200 random items of good
    quality are a dozen failures, which say almost nothing about `sp`.

    Args:
        strata: Exactly the verdicts `pass` and `fail`, in any order.
        level: Confidence in (0, 1).
        identity: Digest of judge model and prompt.
        design_effect: What clustering of labels costs, at least 1.

    Returns:
        The card; or how many labels are missing.

    Raises:
        MalformedRecord: Other verdicts, or a level outside (0, 1).

    Source:
        The posterior of `quality_interval`, rearranged; Cohen 1960; Gwet 2008.

    Example:
        >>> card = judge_card([Stratum(name="pass", judged=1888, labelled=100, good=99),
        ...                    Stratum(name="fail", judged=212, labelled=100, good=46)])
        >>> f"Se {card.se.value:.3f}, Sp {card.sp.value:.3f} [{card.sp.low:.2f}, {card.sp.high:.2f}]"
        'Se 0.950, Sp 0.858 [0.56, 0.98]'
    """
    level = check_fraction("level", level)
    design_effect = check_fraction("design_effect", design_effect, 1.0, 1e6, closed=True)
    by_name = {stratum.name: stratum for stratum in strata}
    if set(by_name) != {"pass", "fail"} or len(strata) != 2:
        raise malformed("strata", sorted(by_name), "exactly the verdicts 'pass' and 'fail'")
    passed, failed = by_name["pass"], by_name["fail"]
    missing = sum(max(0, CARD_LABELS_MIN - s.labelled) for s in (passed, failed))
    labels = passed.labelled + failed.labelled
    if missing:
        return NotEnoughEvidence(
            reason=f"a card needs {CARD_LABELS_MIN} labels of each verdict; "
            f"there are {passed.labelled} of passes and {failed.labelled} of failures",
            have=labels,
            need=labels + missing,
            unit="labels",
            remedy=f"Label {missing} more items, drawn at random within the verdicts that lack them.",
        )
    cells = _card_draws(passed, failed, design_effect)
    q = passed.judged / (passed.judged + failed.judged)
    a, b = passed.good / passed.labelled, failed.good / failed.labelled
    point = _Cells(*(np.array(x) for x in (q * a, q * (1 - a), (1 - q) * b, (1 - q) * (1 - b))))

    def estimate(function: Callable[[_Cells], Floats], unit: Unit = "rate") -> Estimate:
        sample = _Sample(
            point=point, draws=cells, n=labels, method=MethodId.JUDGE_CARD, design_effect=design_effect
        )
        return _estimate(function, sample, level, unit)

    return JudgeCard(
        se=estimate(_sensitivity),
        sp=estimate(_specificity),
        j=estimate(lambda c: _sensitivity(c) + _specificity(c) - 1, "index"),
        kappa=estimate(_kappa, "index"),
        ac1=estimate(_ac1, "index"),
        quality=estimate(lambda c: c.both + c.second),
        se_lower=posterior_ends(_sensitivity(cells), level, "low")[0],
        sp_lower=posterior_ends(_specificity(cells), level, "low")[0],
        n=labels,
        identity=identity,
        strata=(passed, failed),
        design_effect=design_effect,
    )


def agreement(table: Sequence[Sequence[int]], *, level: float = 0.95) -> Agreement | NotEnoughEvidence:
    """Agreement of two people on the same items.

    Args:
        table: ((both pass, only the first passes), (only the second passes, both fail)).
        level: Confidence in (0, 1).

    Returns:
        Kappa, AC1 and alpha with intervals; or how many items are missing.

    Raises:
        MalformedRecord: Not a 2 x 2 table of whole numbers.

    Source:
        Cohen 1960; Gwet 2008; Krippendorff 2004, nominal data, two raters. Intervals: Dirichlet
        (cells + 1/2) on the lattice.

    Example:
        >>> people = agreement(((40, 3), (2, 5)))
        >>> f"{people.kappa.value:.3f} [{people.kappa.low:.2f}, {people.kappa.high:.2f}]"
        '0.608 [0.26, 0.83]'
    """
    level = check_fraction("level", level)
    if len(table) != 2 or any(len(row) != 2 for row in table):
        raise malformed("table", "not 2 x 2", "((both pass, only first), (only second, both fail))")
    flat = (table[0][0], table[0][1], table[1][0], table[1][1])
    counts = np.array(
        [check_count(name, cell) for name, cell in zip(_CELL_NAMES, flat, strict=True)], dtype=np.float64
    )
    n = int(counts.sum())
    if n < AGREEMENT_ITEMS_MIN:
        return NotEnoughEvidence(
            reason=f"{n} items rated by both are too few to state an agreement",
            have=n,
            need=AGREEMENT_ITEMS_MIN,
            unit="items",
            remedy=f"Let both rate {AGREEMENT_ITEMS_MIN - n} more items.",
        )
    draws = _Cells(*dirichlet_draws(4, counts).T)
    point = _Cells(*(counts / n))

    def estimate(function: Callable[[_Cells], Floats], unit: Unit = "index") -> Estimate:
        sample = _Sample(point=point, draws=draws, n=n, method=MethodId.AGREEMENT)
        return _estimate(function, sample, level, unit)

    return Agreement(
        kappa=estimate(_kappa),
        ac1=estimate(_ac1),
        alpha=estimate(lambda cells: _alpha(cells, n)),
        observed=estimate(lambda cells: cells.both + cells.neither, "rate"),
        n=n,
    )


def judged_margin(
    card: JudgeCard, margin: float, rule: MarginRule = "proved", alpha: float = 0.05
) -> JudgedMargin | NotEnoughEvidence:
    """Shrink a margin by the judge's accuracy: a true loss of 5 points is observed as 5 J.

    Args:
        card: What labels say about the judge.
        margin: Margin of true quality, in (0, 0.5).
        rule: `proved`: one-sided 99 % bound of J, its 1 % paid out of alpha. `tight`: 80 % bound at
            full alpha, right in simulation, without a proof.
        alpha: Level of the whole decision, in (0.01, 0.5).

    Returns:
        Margin and level for the test of judged pairs; or that this judge cannot decide it.

    Raises:
        MalformedRecord: An argument outside its range.

    Source:
        Rogan and Gladen 1978 for the shrinkage; union bound for `proved`.

    Example:
        >>> card = judge_card([Stratum(name="pass", judged=1888, labelled=100, good=99),
        ...                    Stratum(name="fail", judged=212, labelled=100, good=46)])
        >>> shrunk = judged_margin(card, 0.05)
        >>> f"{shrunk.margin:.3f} at {shrunk.alpha:.2f}"
        '0.023 at 0.04'
    """
    margin = check_fraction("margin", margin, 0.0, 0.5)
    alpha = check_fraction("alpha", alpha, 0.01, 0.5)
    if rule not in {"proved", "tight"}:
        raise malformed("rule", repr(rule), "'proved' or 'tight'")
    cells = _card_draws(*card.strata, card.design_effect)
    level = 0.99 if rule == "proved" else 0.80
    j_low = posterior_ends(_sensitivity(cells) + _specificity(cells) - 1, level, "low")[0]
    if j_low < J_MIN:
        return NotEnoughEvidence(
            reason=f"this judge cannot decide this margin: its J may be as low as {j_low:.2f}",
            have=card.n,
            need=None,
            unit="labels",
            remedy="Label the pairs on which the versions differ, or label more items that the judge failed.",
        )
    notes: tuple[str, ...] = ("assumes that the judge errs equally often in both versions",)
    if rule == "tight":
        notes += ("right in simulation, not proved",)
    return JudgedMargin(
        margin=j_low * margin,
        alpha=alpha - 0.01 if rule == "proved" else alpha,
        j_low=j_low,
        rule=rule,
        n=card.n,
        guarantee=METHODS[MethodId.JUDGED_MARGIN].sentence,
        notes=notes,
    )


def _card_draws(passed: Stratum, failed: Stratum, alike: float) -> _Cells:
    """Draws of (good and passed, bad and passed, good and failed, bad and failed)."""
    q = beta_draws(3, 0, passed.judged, failed.judged)
    a = beta_draws(3, 1, passed.good / alike, (passed.labelled - passed.good) / alike)
    b = beta_draws(3, 2, failed.good / alike, (failed.labelled - failed.good) / alike)
    return _Cells(q * a, q * (1 - a), (1 - q) * b, (1 - q) * (1 - b))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """A ratio that is NaN, not a warning, where both are zero; such points are replaced by the median."""
    out = np.full(np.shape(numerator), math.nan)
    ratio: Floats = np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 1e-300)
    return ratio


def _sensitivity(c: _Cells) -> Floats:
    return _ratio(c.both, c.both + c.second)


def _specificity(c: _Cells) -> Floats:
    return _ratio(c.neither, c.first + c.neither)


def _kappa(c: _Cells) -> Floats:
    one, two = c.both + c.first, c.both + c.second
    chance = one * two + (1 - one) * (1 - two)
    return _ratio(c.both + c.neither - chance, 1 - chance)


def _ac1(c: _Cells) -> Floats:
    mean = (2 * c.both + c.first + c.second) / 2
    chance = 2 * mean * (1 - mean)
    return _ratio(c.both + c.neither - chance, 1 - chance)


def _alpha(c: _Cells, n: int) -> Floats:
    mean = (2 * c.both + c.first + c.second) / 2
    return 1 - _ratio(c.first + c.second, 2 * mean * (1 - mean) * 2 * n / (2 * n - 1))


def _estimate(function: Callable[[_Cells], Floats], sample: _Sample, level: float, unit: Unit) -> Estimate:
    values = function(sample.draws)
    low, high = posterior_ends(values, level)
    value = float(function(sample.point))
    notes: tuple[str, ...] = ()
    if math.isnan(value):
        value = float(np.median(values))
        notes = (
            "unknown: the labels hold no case that would show it; the value is the middle of what is possible",
        )
    elif _one_sided(sample.point):
        notes = ("one rater used one category only: kappa says little here",)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        n=sample.n,
        n_effective=sample.n / sample.design_effect,
        unit=unit,
        method=sample.method,
        guarantee=sentence_at(sample.method, level),
        notes=notes,
    )


def _one_sided(c: _Cells) -> bool:
    sides = (c.both + c.first, c.second + c.neither, c.both + c.second, c.first + c.neither)
    return any(float(side) < 1e-12 for side in sides)
