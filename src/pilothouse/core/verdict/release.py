# SPDX-License-Identifier: Apache-2.0
"""Release rules of a task type, and the results of cases that are checked against them.

A release is the intersection of its requirements: each at its own error rate, without correction, since
all must hold. They stand in `release_difference` (not worse), `release_level` (good enough),
`release_reliability` (good every time), `release_never` (zero tolerance and attacks), `release_behaviour` (golden
sequences), `release_tuning` (sealed cases) and `release_trust` (whether the rest may be believed).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pilothouse.core.evidence.effective_counts import effective_counts
from pilothouse.core.evidence.evidence import WORTH, Scope
from pilothouse.core.statistics.sequential import Spending
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["ITEMS_MAX", "CaseResult", "GateRules", "design_effect", "level_worth", "undecided"]

CORRELATION_ASSUMED: Final = 0.3
"""Correlation within a cluster that a plan of paired differences reckons with; few flips cannot measure it."""

ITEMS_MAX: Final = 50
"""Case ids shown under one requirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What a release must hold for one task type.

    Attributes:
        task_type: Task type.
        margin: Largest loss that still counts as not worse, as a fraction.
        alpha: Error of each requirement, one-sided.
        floor: Least rate of good answers, or None when nobody committed to one.
        reliable_k: Runs of a case that must all be good; 1 asks nothing.
        reliable_min: Least rate of cases of which all those runs are good.
        unscored_max: Largest share of results without a score.
        looks: Looks at which the run may stop.
        spending: `pocock` stops early when cases are plentiful, `obrien_fleming` keeps power when they are scarce.
    """

    task_type: str
    margin: float = 0.05
    alpha: float = 0.05
    floor: float | None = None
    reliable_k: int = 1
    reliable_min: float = 0.0
    unscored_max: float = 0.02
    looks: int = 10
    spending: Spending = "pocock"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case under both versions.

    Attributes:
        case_id: The case.
        cluster: What makes it depend on others.
        candidate: For each repeat: good, bad, or None when it has no score.
        baseline: The same for the baseline; empty without one.
        weight: Population weight.
    """

    case_id: str
    cluster: str
    candidate: tuple[bool | None, ...]
    baseline: tuple[bool | None, ...] = ()
    weight: float = 1.0


def undecided(requirement: str, rules: GateRules, rule: str, *, bound: float | None = None) -> ItemVerdict:
    """Return a requirement of a task type without evidence.

    Args:
        requirement: Its name.
        rules: Rules of the task type.
        rule: What must hold, in words.
        bound: Number it is held against, or None.
    """
    return ItemVerdict(
        requirement=requirement,
        scope=Scope(task_type=rules.task_type),
        status=Status.NO_EVIDENCE,
        reason=Reason.INSUFFICIENT,
        rule=rule,
        sentence="",
        unit="rate",
        bound=bound,
    )


def level_worth(scored: Sequence[CaseResult]) -> int:
    """Return how many independent cases the first repeats of some are worth as a level, as verdicts count it.

    What makes a case hard is in both versions of a pair and in every answer by itself, so answers of one cluster are more
    alike than differences are (docs/decisions/0226).

    Args:
        scored: Cases whose first repeat has a score.

    Example:
        >>> level_worth([CaseResult(case_id=str(n), cluster=str(n // 5), candidate=(n > 9,)) for n in range(200)])
        49
    """
    good = [bool(one.candidate[0]) for one in scored]
    return effective_counts(good, [one.cluster for one in scored]).get(WORTH, len(scored)) if scored else 0


def design_effect(clusters: Sequence[str]) -> float:
    """Return the design effect of paired differences that is assumed before it can be measured: 1 + 0.3 (m - 1).

    Args:
        clusters: Cluster of each case, at least one.

    Returns:
        Factor on the variance, at least 1; m is the mean cluster size as a case sees it.

    Example:
        >>> design_effect(["a", "a", "b", "b"])
        1.3
    """
    sizes = Counter(clusters).values()
    mean_size = sum(size * size for size in sizes) / len(clusters)
    return max(1.0, 1 + CORRELATION_ASSUMED * (mean_size - 1))
