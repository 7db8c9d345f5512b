# SPDX-License-Identifier: Apache-2.0
"""Test inputs for drift, feature by feature; drift is a reason to label, never a quality verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import Floats, check_fraction, count_array, finite_array, malformed
from pilothouse.core.statistics.methods import MethodId, sentence_of_check
from pilothouse.core.statistics.results import NotEnoughEvidence, TestResult

__all__ = [
    "CASES_MIN",
    "FEATURES_MAX",
    "FeatureCheck",
    "FeatureDrift",
    "feature_drift",
    "psi_test",
]

CASES_MIN = 50
"""Cases on each side below which a feature is not tested."""

FEATURES_MAX = 1_000
"""Features of one check: Holm's correction would hide everything in more."""

_EXPECTED_MIN = 5.0
"""Expected count below which categories are pooled."""

Feature = Sequence[float] | Sequence[str] | NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCheck:
    """One feature.

    Attributes:
        name: The feature.
        raw_p: Its own p-value, or None when it was not tested.
        result: The test with the p-value that Holm adjusted, or what is missing.
    """

    name: str
    raw_p: float | None
    result: TestResult | NotEnoughEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """All features of one check.

    Attributes:
        features: One for each feature, in the order given.
        flagged: Features that changed, surest first.
        alpha: Chance of any flag when nothing changed.
        guarantee: What may be believed, one sentence.
    """

    features: tuple[FeatureCheck, ...]
    flagged: tuple[str, ...]
    alpha: float
    guarantee: str


def feature_drift(
    reference: Mapping[str, Feature], current: Mapping[str, Feature], alpha: float = 0.05
) -> FeatureDrift:
    """Compare every feature of two windows; all tests together keep the level.

    For a programme over time use alpha / 52 for a weekly check. Evidence must not be multiplied over weeks that are held against one
    reference: what is odd about the reference by chance would count again each week.

    Args:
        reference: Values of each feature in the baseline window: numbers, or words for categories.
        current: The same features in the current window.
        alpha: Chance of any flag when nothing changed, in (0, 0.5).

    Returns:
        Kolmogorov-Smirnov for numbers, chi-square for categories (cells with fewer than five expected
        cases pooled), p-values adjusted by Holm.

    Raises:
        MalformedRecord: Different features on both sides, mixed kinds, NaN or infinite numbers.

    Source:
        Smirnov 1948; Pearson 1900; Holm 1979.

    Example:
        >>> drift = feature_drift({"length": list(range(200)), "kind": ["a", "b"] * 100},
        ...                       {"length": list(range(60, 260)), "kind": ["a", "b"] * 100})
        >>> drift.flagged
        ('length',)
    """
    alpha = check_fraction("alpha", alpha, 0.0, 0.5)
    if set(reference) != set(current):
        odd = min(set(reference) ^ set(current))
        raise malformed("current", f"without the same features ({odd!r} is on one side only)", "equal names")
    if not 1 <= len(reference) <= FEATURES_MAX:
        raise malformed("reference", f"of {len(reference)} features", f"1 to {FEATURES_MAX} features")
    checks = [_one_feature(name, reference[name], current[name], alpha) for name in reference]
    tested = [check for check in checks if check.raw_p is not None]
    adjusted = dict(zip((c.name for c in tested), _holm([c.raw_p or 0.0 for c in tested]), strict=True))
    final = tuple(_adjust(check, adjusted.get(check.name), alpha) for check in checks)
    hits = [c for c in final if isinstance(c.result, TestResult) and c.result.rejected]
    return FeatureDrift(
        features=final,
        flagged=tuple(c.name for c in sorted(hits, key=lambda c: c.raw_p or 0.0)),
        alpha=alpha,
        guarantee=sentence_of_check(MethodId.FEATURE_DRIFT, alpha),
    )


def psi_test(
    ref_counts: Sequence[int] | NDArray[np.generic],
    cur_counts: Sequence[int] | NDArray[np.generic],
    alpha: float = 0.05,
) -> TestResult | NotEnoughEvidence:
    """Population stability index with a p-value: thresholds of .1 or .2 mean nothing without n.

    Args:
        ref_counts: Reference cases in each bin, shape (bins,).
        cur_counts: Current cases in each bin, shape (bins,).
        alpha: Level, in (0, 0.5).

    Returns:
        The test; its notes give the index itself and what it would be without drift.

    Raises:
        MalformedRecord: Negative counts, or different numbers of bins.

    Source:
        Yurdakul 2018: PSI / (1/n + 1/m) is chi-square with B - 1 degrees of freedom; the larger p-value of that and of Pearson's
        test.

    Example:
        >>> psi_test([500, 500], [60, 40]).notes[0]
        'PSI 0.041; without drift its mean would be 0.011'
    """
    alpha = check_fraction("alpha", alpha, 0.0, 0.5)
    reference, current = count_array("ref_counts", ref_counts), count_array("cur_counts", cur_counts)
    if len(reference) != len(current):
        raise malformed("cur_counts", f"of {len(current)} bins", f"{len(reference)} bins")
    n, m = int(reference.sum()), int(current.sum())
    used = (reference + current) > 0
    if min(n, m) < CASES_MIN or int(used.sum()) < 2:
        return _too_few(min(n, m), int(used.sum()))
    a = np.maximum(reference[used] / n, 0.5 / n)
    b = np.maximum(current[used] / m, 0.5 / m)
    psi = float(((a - b) * np.log(a / b)).sum())
    freedom = int(used.sum()) - 1
    scale = 1 / n + 1 / m
    # With few cases a bin the index runs away from its limit (11 % flagged at 5 cases a bin); Pearson's statistic does not.
    pearson = _chi_square(np.stack([reference[used], current[used]]).astype(np.float64))[1]
    p = max(float(scipy.special.chdtrc(freedom, psi / scale)), pearson)
    return TestResult(
        method=MethodId.PSI_TEST,
        statistic=psi / scale,
        p_value=p,
        alpha=alpha,
        rejected=p <= alpha,
        n=m,
        n_effective=1 / scale,
        effect=None,
        guarantee=sentence_of_check(MethodId.PSI_TEST, alpha),
        notes=(f"PSI {psi:.3f}; without drift its mean would be {freedom * scale:.3f}",),
    )


def _one_feature(name: str, reference: Feature, current: Feature, alpha: float) -> FeatureCheck:
    words = [_is_words(name, side) for side in (reference, current) if len(side)]
    if len(set(words)) > 1:
        raise malformed(name, "numbers on one side and words on the other", "one kind")
    few = min(len(reference), len(current))
    if words and words[0]:
        counts = _category_table([str(value) for value in reference], [str(value) for value in current])
        distinct = counts.shape[1]
        tested = _chi_square(counts) if few >= CASES_MIN and distinct >= 2 else _too_few(few, distinct)
    else:
        x = finite_array(name, cast("Sequence[float]", reference))
        y = finite_array(name, cast("Sequence[float]", current))
        distinct = len(np.unique(np.concatenate([x, y])))
        tested = _kolmogorov_smirnov(x, y) if few >= CASES_MIN and distinct >= 2 else _too_few(few, distinct)
    if isinstance(tested, NotEnoughEvidence):
        return FeatureCheck(name=name, raw_p=None, result=tested)
    statistic, p = tested
    result = TestResult(
        method=MethodId.FEATURE_DRIFT,
        statistic=statistic,
        p_value=p,
        alpha=alpha,
        rejected=p <= alpha,
        n=len(current),
        n_effective=float(len(current)),
        effect=None,
        guarantee=sentence_of_check(MethodId.FEATURE_DRIFT, alpha),
    )
    return FeatureCheck(name=name, raw_p=p, result=result)


def _adjust(check: FeatureCheck, p: float | None, alpha: float) -> FeatureCheck:
    if p is None or isinstance(check.result, NotEnoughEvidence):
        return check
    return replace(check, result=replace(check.result, p_value=p, rejected=p <= alpha))


def _is_words(name: str, values: Feature) -> bool:
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return False
    kinds = {isinstance(value, str) for value in values}
    if len(kinds) > 1:
        raise malformed(name, "a mixture of numbers and words", "one kind")
    return kinds == {True}


def _category_table(reference: Sequence[str], current: Sequence[str]) -> Floats:
    """Counts of each category, shape (2, categories), rarest pooled until every expected cell holds five."""
    one, two = Counter(reference), Counter(current)
    names = sorted(set(one) | set(two), key=lambda name: (one[name] + two[name], name))
    columns = [np.array([one[name], two[name]], dtype=np.float64) for name in names]
    smaller = min(len(reference), len(current)) / max(len(reference) + len(current), 1)
    while len(columns) > 1 and columns[0].sum() * smaller < _EXPECTED_MIN:
        rest = sorted([columns[0] + columns[1], *columns[2:]], key=lambda column: float(column.sum()))
        columns = rest
    return np.stack(columns, axis=1) if columns else np.zeros((2, 0))


def _chi_square(table: Floats) -> tuple[float, float]:
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(scipy.special.chdtrc(table.shape[1] - 1, statistic))


def _kolmogorov_smirnov(x: Floats, y: Floats) -> tuple[float, float]:
    from scipy import stats  # noqa: PLC0415 - importing scipy.stats costs a second; only this test needs it

    x, y = np.sort(x), np.sort(y)
    both = np.concatenate([x, y])
    gaps = np.searchsorted(x, both, side="right") / len(x) - np.searchsorted(y, both, side="right") / len(y)
    statistic = float(np.abs(gaps).max())
    effective = len(x) * len(y) / (len(x) + len(y))
    return statistic, float(np.clip(stats.kstwo.sf(statistic, np.round(effective)), 0.0, 1.0))


def _holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted.tolist()


def _too_few(cases: int, distinct: int) -> NotEnoughEvidence:
    if cases >= CASES_MIN:
        return NotEnoughEvidence(
            reason="the feature has one value only", have=distinct, need=2, unit="distinct values",
            remedy="Nothing to do: a constant cannot drift until it varies.",
        )  # fmt: skip
    return NotEnoughEvidence(
        reason=f"{cases} cases on one side are too few", have=cases, need=CASES_MIN, unit="cases",
        remedy=f"Wait for {CASES_MIN - cases} more cases.",
    )  # fmt: skip
