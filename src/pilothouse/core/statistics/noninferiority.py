# SPDX-License-Identifier: Apache-2.0
"""Decide from one look at paired cases whether a candidate is not worse than the baseline by a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from pilothouse.core.statistics.checks import (
    Floats,
    binary_array,
    check_count,
    check_fraction,
    check_same_length,
    finite_array,
)
from pilothouse.core.statistics.clusters import cluster_design_effect, first_of_each
from pilothouse.core.statistics.comparison import Comparison, compare, few_pairs
from pilothouse.core.statistics.methods import MethodId
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = ["PairedNonInferiority", "repeats_saving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """How a plain score statistic is scaled before it decides."""

    critical: float
    design_effect: float = 1.0
    looks: int = 1


@dataclass(frozen=True, slots=True)
class PairedNonInferiority:
    """Tango's score test of "worse by the margin", at one look.

    Attributes:
        margin: Largest loss that still counts as not worse, in (0, 0.5).
        alpha: Chance of "not worse" when the candidate is worse by exactly the margin, in (0, 0.5).

    Source:
        Tango 1998, Statistics in Medicine 17.
    """

    margin: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_fraction("margin", self.margin, 0.0, 0.5)
        check_fraction("alpha", self.alpha, 0.0, 0.5)

    def decide(self, b: int, c: int, n: int) -> Comparison | NotEnoughEvidence:
        """Decide from counts of independent pairs.

        Args:
            b: Pairs in which only the candidate is good.
            c: Pairs in which only the baseline is good.
            n: Pairs in all.

        Returns:
            The comparison; its two-sided interval at 1 - 2 alpha is clear of the margin exactly when it is
            decided. Or how many pairs are missing.

        Raises:
            MalformedRecord: A negative count, or b + c > n.

        Example:
            >>> result = PairedNonInferiority(0.05).decide(6, 6, 200)
            >>> result.decision.value, f"{result.z:.4f}", f"{result.difference.low:.4f}"
            ('not_worse', '2.4324', '-0.0311')
        """
        n = check_count("n", n)
        b = check_count("b", b, most=n)
        c = check_count("c", c, most=n - b)
        return few_pairs(b + c, n, self.margin, self.alpha) or self._compare(b, c, n, self._plain())

    def decide_pairs(
        self,
        baseline: Sequence[int] | NDArray[np.generic],
        candidate: Sequence[int] | NDArray[np.generic],
        *,
        clusters: Sequence[str | None] | None = None,
        ids: Sequence[str] | None = None,
    ) -> Comparison | NotEnoughEvidence:
        """Decide from good (1) and bad (0) of each case under both versions.

        Args:
            baseline: Shape (n,).
            candidate: Shape (n,), the same cases in the same order.
            clusters: Which conversation or family each case belongs to; None is a cluster of its own.
                When both versions ran each case several times, give the case as cluster.
            ids: Id of each row: equal rows of one id count once, contradicting ones are an error.

        Returns:
            The comparison; or how many pairs or clusters are missing.

        Raises:
            MalformedRecord: Values other than 0 and 1, unequal lengths, contradicting rows of one id.

        Source:
            Clusters: the cluster-robust variance, shrunk to an intra-cluster correlation of 0.3 because
            few flips cannot estimate it.

        Example:
            >>> result = PairedNonInferiority(0.05).decide_pairs([1] * 190 + [0] * 10, [1] * 200)
            >>> result.decision.value, result.wins, result.losses
            ('not_worse', 10.0, 0.0)
        """
        check_same_length(baseline=baseline, candidate=candidate)
        rows = np.stack([binary_array("baseline", baseline), binary_array("candidate", candidate)], axis=1)
        groups = None if clusters is None else list(clusters)
        notes: tuple[str, ...] = ()
        if groups is not None:
            check_same_length(baseline=baseline, clusters=groups)
        if ids is not None:
            check_same_length(baseline=baseline, ids=ids)
            keep = first_of_each(ids, rows)
            if len(keep) < len(rows):
                notes += (f"{len(rows) - len(keep)} duplicated rows were dropped",)
            rows = rows[keep]
            groups = None if groups is None else [groups[index] for index in keep]
        d = (rows[:, 1] - rows[:, 0]).astype(np.float64)
        b, c, n = int((d > 0).sum()), int((d < 0).sum()), len(d)
        missing = few_pairs(b + c, n, self.margin, self.alpha)
        if missing is not None:
            return missing
        if groups is None:
            return self._compare(b, c, n, self._plain(), notes)
        return self._clustered(d, groups, notes)

    def decide_repeats(
        self, baseline: Sequence[float] | NDArray[np.generic], candidate: Sequence[int] | NDArray[np.generic]
    ) -> Comparison | NotEnoughEvidence:
        """Decide when the baseline ran each case several times and the candidate once.

        Args:
            baseline: Share of good runs of each case, shape (n,), in [0, 1].
            candidate: Good (1) or bad (0) of each case, shape (n,).

        Returns:
            The comparison; or how many pairs are missing.

        Raises:
            MalformedRecord: A value outside its range, or unequal lengths.

        Source:
            Tango 1998 on b = sum max(d, 0), c = sum max(-d, 0), divided by the root of the variance
            that repeats save (between 0.1 and 1, shrunk by five pseudo-cases).

        Example:
            >>> result = PairedNonInferiority(0.05).decide_repeats([0.95] * 200, [1] * 190 + [0] * 10)
            >>> result.decision.value, f"{result.design_effect:.2f}"
            ('not_worse', '0.61')
        """
        check_same_length(baseline=baseline, candidate=candidate)
        d = binary_array("candidate", candidate) - finite_array("baseline", baseline, 0.0, 1.0)
        n = len(d)
        b, c = float(np.maximum(d, 0).sum()), float(np.maximum(-d, 0).sum())
        missing = few_pairs(b + c, n, self.margin, self.alpha)
        if missing is not None:
            return missing
        return self._compare(b, c, n, self._plain(design_effect=repeats_saving(d)))

    def _clustered(
        self, d: Floats, groups: list[str | None], notes: tuple[str, ...]
    ) -> Comparison | NotEnoughEvidence:
        alone = sum(1 for group in groups if group is None)
        if alone:
            notes += (f"{alone} cases name no cluster: each is a cluster of its own",)
        effect = cluster_design_effect(d, groups)
        if isinstance(effect, NotEnoughEvidence):
            return effect
        b, c, n = int((d > 0).sum()), int((d < 0).sum()), len(d)
        if effect.clusters == n:
            return self._compare(b, c, n, self._plain(), notes)
        freedom = effect.clusters - 1
        scale = _Scale(
            critical=float(scipy.special.stdtrit(freedom, 1 - self.alpha)),
            design_effect=effect.value,
        )
        return self._compare(b, c, n, scale, (*notes, f"{effect.clusters} clusters"))

    def _plain(self, design_effect: float = 1.0) -> _Scale:
        return _Scale(
            critical=float(scipy.special.ndtri(1 - self.alpha)),
            design_effect=design_effect,
        )

    def _compare(self, b: float, c: float, n: int, scale: _Scale, notes: tuple[str, ...] = ()) -> Comparison:
        return compare(
            b, c, n,
            margin=self.margin, alpha=self.alpha, critical=scale.critical, design_effect=scale.design_effect,
            looks=1, method=MethodId.PAIRED_NON_INFERIORITY, notes=notes,
        )  # fmt: skip


def repeats_saving(d: Floats) -> float:
    """Variance of differences against a repeated baseline, relative to single runs of both.

    Args:
        d: Candidate (0 or 1) minus the share of good runs of the baseline, shape (n,), n >= 2.

    Returns:
        Between 0.1 and 1, shrunk towards 1 by five pseudo-cases.

    Example:
        >>> f"{repeats_saving(np.array([0.05] * 190 + [-0.95] * 10)):.2f}"
        '0.61'
    """
    n, mean = len(d), float(d.mean())
    flips = float(np.abs(d).sum()) / n
    saved = (n * float(d.var(ddof=1)) + 5) / (n * (flips - mean**2) + 5)
    return min(max(saved, 0.1), 1.0)
