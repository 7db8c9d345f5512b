# SPDX-License-Identifier: Apache-2.0
"""Design effects of clustered cases, such as turns of one conversation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pilothouse.core.statistics.checks import Floats, Integers, malformed
from pilothouse.core.statistics.results import NotEnoughEvidence

__all__ = [
    "CLUSTERS_MIN",
    "GIANT_SHARE",
    "RUNAWAYS_MAX",
    "DesignEffect",
    "believed_design_effect",
    "cluster_design_effect",
    "cluster_indexes",
    "cluster_variance",
    "first_of_each",
    "giant_cluster",
    "label_design_effect",
    "mean_turns",
    "without_runaways",
    "worth_of",
]

CLUSTERS_MIN = 30
"""Clusters below which the variance between them is not known well enough."""

GIANT_SHARE = 0.25
"""Share of the cases in one cluster above which the rest says too little."""

RUNAWAYS_MAX = 5
"""Conversations that a detector leaves out of a day, and a breach out of a rate: more that are so large are how the agent is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prior:
    """What is believed of a correlation before there are flips enough to estimate it.

    Attributes:
        correlation: Intra-cluster correlation.
        flips: Independent flips that the belief is worth: few flips alone cannot estimate a correlation.
    """

    correlation: float
    flips: float


_OF_PAIRS = _Prior(correlation=0.3, flips=20)
"""Of paired differences: two versions are asked the same turn, and what makes a conversation hard is hard for both."""

_OF_ANSWERS = _Prior(correlation=0.7, flips=10)
"""Of answers by themselves, which share all that makes their conversation hard. With the one of pairs floors at the truth were
proved in up to 17.5 % of simulated weeks, with this one in at most 4.9 % (decision 0147)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignEffect:
    """Variance of clustered cases relative to independent ones.

    Attributes:
        value: The factor, at least 1.
        clusters: Clusters.
    """

    value: float
    clusters: int


def cluster_indexes(groups: Sequence[Hashable | None] | Integers) -> Integers:
    """Number clusters from 0; a missing cluster (None) is a cluster of its own.

    Args:
        groups: Cluster of each case, shape (n,); numbers in an array are taken fastest.

    Example:
        >>> cluster_indexes(["a", None, "a", None]).tolist()
        [0, 1, 0, 2]
    """
    if isinstance(groups, np.ndarray) and groups.dtype.kind in "iu":
        return np.unique(groups, return_inverse=True)[1].astype(np.int64)
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(("alone", i) if group is None else ("named", group), len(numbers))
            for i, group in enumerate(groups)
        ],
        dtype=np.int64,
    )


def cluster_variance(d: Floats, indexes: Integers) -> float:
    """Cluster-robust variance of the mean of d.

    Args:
        d: Values, shape (n,).
        indexes: Cluster of each value, from 0, shape (n,).

    Source:
        Liang and Zeger 1986, Biometrika 73, with the factor G / (G - 1).

    Example:
        >>> f"{cluster_variance(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1])):.3f}"
        '0.250'
    """
    sizes = np.bincount(indexes)
    sums = np.bincount(indexes, weights=d)
    count = len(sizes)
    return float(count / (count - 1) * ((sums - sizes * d.mean()) ** 2).sum() / len(d) ** 2)


def giant_cluster(indexes: Integers) -> NotEnoughEvidence | None:
    """Return why clusters do not suffice, too few or one too large, or None.

    Args:
        indexes: Cluster of each case, from 0, shape (n,), n >= 1.

    Example:
        >>> giant_cluster(np.arange(10)).need
        30
    """
    sizes = np.bincount(indexes)
    if len(sizes) < CLUSTERS_MIN:
        reason, need = f"{len(sizes)} clusters are too few to know how much they differ", CLUSTERS_MIN
    elif sizes.max() > GIANT_SHARE * len(indexes):
        share = sizes.max() / len(indexes)
        reason = f"one cluster holds {100 * share:.0f} % of the cases"
        need = len(sizes) + int(
            np.ceil((sizes.max() / GIANT_SHARE - len(indexes)) / max(np.median(sizes), 1))
        )
    else:
        return None
    return NotEnoughEvidence(
        reason=reason,
        have=len(sizes),
        need=need,
        unit="clusters",
        remedy=f"Add cases from about {need - len(sizes)} other conversations.",
    )


def cluster_design_effect(
    d: Floats, groups: Sequence[Hashable | None] | Integers
) -> DesignEffect | NotEnoughEvidence:
    """Design effect of paired differences, shrunk to a prior because flips are few.

    Args:
        d: Differences in [-1, 1], shape (n,), n >= 1.
        groups: Cluster of each, None for a cluster of its own.

    Returns:
        The design effect, 1 when every cluster has one case; or how many clusters are missing.

    Source:
        max(1, (k r + 20 p) / (k + 20)): r the ratio of the cluster-robust to the independent variance,
        p = 1 + 0.3 (m - 1) the prior, m the mean cluster size as a case sees it, k = (b + c) / p the
        flips that are independent if the prior is right. Simulated for 30 to 200 clusters of 4 to 20;
        docs/decisions/0040 says why flips that came together do not count one by one.

    Example:
        >>> d = np.tile([0.0, 0.0, 0.0, 0.0, 1.0, -1.0], 40)
        >>> effect = cluster_design_effect(d, [f"c{i // 4}" for i in range(240)])
        >>> effect.clusters, f"{effect.value:.2f}"
        (60, '1.00')
    """
    return _design_effect(d, groups, _OF_PAIRS)


def _design_effect(
    d: Floats, groups: Sequence[Hashable | None] | Integers, believed: _Prior
) -> DesignEffect | NotEnoughEvidence:
    indexes = cluster_indexes(groups)
    sizes = np.bincount(indexes)
    if len(sizes) == len(d):
        return DesignEffect(value=1.0, clusters=len(sizes))
    missing = giant_cluster(indexes)
    if missing is not None:
        return missing
    flips = float(np.abs(d).sum())
    independent = (flips / len(d) - d.mean() ** 2) / len(d)
    ratio = cluster_variance(d, indexes) / independent if independent > 1e-15 else 1.0
    prior = 1 + believed.correlation * (_seen_size(sizes) - 1)
    independent_flips = flips / prior
    value = (independent_flips * ratio + believed.flips * prior) / (independent_flips + believed.flips)
    return DesignEffect(value=max(1.0, float(value)), clusters=len(sizes))


def _seen_size(sizes: Integers) -> float:
    return float((sizes**2).sum() / sizes.sum())


def mean_turns(groups: Sequence[Hashable | None]) -> float:
    """Return how many turns the conversation of a case has on average, as a case sees it; 1 without any case.

    Args:
        groups: Conversation of each case, None for a case of its own.

    Source:
        Kish 1965: the design effect of clusters whose cases are all alike.

    Example:
        >>> mean_turns(["a", "a", "a", None]), mean_turns([])
        (2.5, 1.0)
    """
    return _seen_size(np.bincount(cluster_indexes(groups))) if groups else 1.0


def without_runaways(groups: Sequence[Hashable | None]) -> list[bool]:
    """Return which cases a detector counts: all, or those outside up to five large conversations that let all be worth less.

    A conversation that runs away would hide what happens in all others. It is left out by its size alone, whatever came of it.

    Args:
        groups: Conversation of each case, None for a case of its own.

    Example:
        >>> sum(without_runaways(["runs away"] * 50 + ["too"] * 50 + [None] * 30)), sum(without_runaways(["a", "a", "b", "b"]))
        (30, 4)
    """
    indexes = cluster_indexes(groups)
    sizes = np.bincount(indexes).astype(np.float64)
    largest = np.argsort(-sizes, kind="stable")
    # What is worth most may be had only when several are gone: of two equal ones, one alone changes nothing.
    worth = [
        float(rest.sum() ** 2 / (rest**2).sum())
        for rest in (sizes[largest[out:]] for out in range(min(RUNAWAYS_MAX + 1, len(sizes))))
    ]
    left_out = largest[: int(np.argmax(worth))] if worth else largest
    kept: list[bool] = (~np.isin(indexes, left_out)).tolist()
    return kept


def believed_design_effect(turns: float, share: float = 1.0) -> float:
    """Design effect of answers before anything is known of how alike turns of one conversation are: a correlation of 0.7.

    Args:
        turns: Mean turns, from `mean_turns`.
        share: Share of the variance that turns can have in common; what labels add by who was drawn, they do not.

    Example:
        >>> believed_design_effect(5.0), believed_design_effect(1.0)
        (3.8, 1.0)
    """
    return 1 + _OF_ANSWERS.correlation * share * (turns - 1)


def label_design_effect(
    good: Sequence[float], groups: Sequence[Hashable | None] | Integers
) -> DesignEffect | NotEnoughEvidence:
    """Design effect of labels that come in clusters, such as turns of one conversation: they fail together.

    Args:
        good: What each label says, shape (n,), n >= 1; or how good each case is, from 0 to 1.
        groups: Cluster of each, None for a cluster of its own.

    Returns:
        As `cluster_design_effect`, with a bad label for a flip, and drawn towards a correlation of 0.7 that is worth ten.

    Example:
        >>> apart = label_design_effect([True, False, True], [None, "a", "b"])
        >>> apart.value
        1.0
    """
    return _design_effect(1.0 - np.array(good, dtype=np.float64), groups, _OF_ANSWERS)


def worth_of(good: Sequence[float], groups: Sequence[Hashable | None] | Integers) -> int:
    """Return how many independent cases labels that come in clusters are worth, at least one.

    Where clusters are too few, or one is too large, to estimate how alike their cases are, all cases of one count as equal.

    Args:
        good: What each label says, shape (n,), n >= 1.
        groups: Cluster of each, None for a cluster of its own.

    Source:
        `label_design_effect`; Kish 1965 for clusters of unequal size whose cases are all alike.

    Example:
        >>> worth_of([True, True, False], ["a", "a", None]), worth_of([True, False], ["a", "b"])
        (1, 2)
    """
    indexes = cluster_indexes(groups)
    effect = label_design_effect(good, indexes)
    if isinstance(effect, DesignEffect):
        return max(1, math.floor(len(good) / effect.value))
    sizes = np.bincount(indexes).astype(np.float64)
    return max(1, math.floor(float(sizes.sum() ** 2 / (sizes**2).sum())))


def first_of_each(ids: Sequence[str], rows: Integers) -> list[int]:
    """Positions of the first row of each id; rows of one id must be equal.

    Args:
        ids: Id of each row, shape (n,).
        rows: Content, shape (n, columns).

    Raises:
        MalformedRecord: Two rows of one id differ; names the id.

    Example:
        >>> first_of_each(["a", "b", "a"], np.array([[1], [0], [1]]))
        [0, 1]
    """
    seen: dict[str, int] = {}
    for index, name in enumerate(ids):
        first = seen.setdefault(name, index)
        if first != index and (rows[first] != rows[index]).any():
            raise malformed(
                "ids", f"{name!r} with other content than before", "one content for each id", index=index
            )
    return list(seen.values())
