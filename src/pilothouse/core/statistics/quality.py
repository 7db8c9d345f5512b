# SPDX-License-Identifier: Apache-2.0
"""Quality of a window from many judge verdicts and few human labels (evidence to estimate)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from pilothouse.core.statistics.checks import Floats, check_count, check_fraction, malformed
from pilothouse.core.statistics.clusters import believed_design_effect
from pilothouse.core.statistics.labels import labels_for_half_width
from pilothouse.core.statistics.lattice import LATTICE_POINTS, beta_draws, dirichlet_draws, posterior_ends
from pilothouse.core.statistics.methods import MethodId, sentence_at
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = [
    "LABELS_MIN",
    "STRATA_MAX",
    "STRATUM_LABELS_MIN",
    "STRATUM_SHARE_MIN",
    "Stratum",
    "labels_alike",
    "quality_interval",
]

LABELS_MIN = 30
"""Labels in all below which no quality is stated."""

STRATUM_LABELS_MIN = 5
"""Labels that every verdict of some weight must have."""

STRATUM_SHARE_MIN = 0.01
"""Share of the judged items below which a verdict may stay without labels."""

STRATA_MAX = 16
"""Verdicts of a judge: a scale has 2 to 7 levels, and each one costs labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The items of a window to which the judge gave one verdict.

    Attributes:
        name: The verdict, for example `pass`, `fail` or `unscored`.
        judged: Items with this verdict.
        labelled: How many of them people labelled, chosen at random.
        good: How many of the labelled were good.
    """

    name: str
    judged: int
    labelled: int
    good: int

    def __post_init__(self) -> None:
        check_count(f"{self.name}.judged", self.judged)
        check_count(f"{self.name}.labelled", self.labelled, most=self.judged)
        check_count(f"{self.name}.good", self.good, most=self.labelled)


def quality_interval(
    strata: Sequence[Stratum],
    *,
    level: float = 0.95,
    design_effect: float = 1.0,
    width_max: float | None = None,
    labels_outside_window: int = 0,
) -> Estimate | NotEnoughEvidence:
    """Share of good tasks among all tasks of one version, task type and window.

    The judge says how common each verdict is, people say how often each verdict is right. How many
    items were labelled for each verdict does not bias it, so labels may be asked where they say most.
    Without a judge, pass one stratum: the result is the plain Jeffreys interval.

    Args:
        strata: One for each judge verdict, names unique.
        level: Two-sided confidence in (0, 1).
        design_effect: What clustering of labels costs, at least 1.
        width_max: Widest interval that the charter accepts, as a fraction, or None.
        labels_outside_window: Labels among them that are older than the window; any is refused.

    Returns:
        Quality with its interval (`n` counts labels), or how many labels are missing.

    Raises:
        MalformedRecord: No stratum, two strata of one name, or an argument outside its range.

    Source:
        Holt and Smith 1979 for post-stratification; Jeffreys priors as in Brown, Cai and DasGupta 2001.

    Example:
        >>> q = quality_interval([
        ...     Stratum(name="pass", judged=1888, labelled=120, good=119),
        ...     Stratum(name="fail", judged=212, labelled=80, good=38),
        ... ])
        >>> f"{q.value:.4f} [{q.low:.4f}, {q.high:.4f}]"
        '0.9395 [0.9096, 0.9538]'
    """
    level = check_fraction("level", level)
    design_effect = check_fraction("design_effect", design_effect, 1.0, 1e6, closed=True)
    check_count("labels_outside_window", labels_outside_window)
    _check_strata(strata)
    missing = _missing(strata, labels_outside_window)
    if missing is not None:
        return missing
    judged = np.array([stratum.judged for stratum in strata], dtype=np.float64)
    labelled = np.array([stratum.labelled for stratum in strata], dtype=np.float64)
    good = np.array([stratum.good for stratum in strata], dtype=np.float64)
    rates = np.where(labelled > 0, good / np.maximum(labelled, 1), 0.5)
    weights = judged / judged.sum()
    low, high = _ends(judged, labelled / design_effect, good / design_effect, level)
    value = float(weights @ rates)
    low = 0.0 if good.sum() == 0 else low
    high = 1.0 if good.sum() == labelled.sum() else high
    n = int(labelled.sum())
    if width_max is not None and high - low > check_fraction("width_max", width_max):
        smoothed = (good + 0.5) / (labelled + 1)
        need = labels_for_half_width(weights, smoothed, width_max / 2, int(judged.sum()))
        return _too_wide(high - low, width_max, n, need, design_effect)
    bare = [s.name for s in strata if s.labelled == 0 and s.judged > 0]
    return Estimate(
        value=min(max(value, low), high),
        low=low,
        high=high,
        level=level,
        n=n,
        n_effective=n / design_effect,
        unit="rate",
        method=MethodId.QUALITY_INTERVAL,
        guarantee=sentence_at(MethodId.QUALITY_INTERVAL, level),
        notes=tuple(f"no label for verdict {name!r}: anything between 0 and 1 was assumed" for name in bare),
    )


def labels_alike(strata: Sequence[Stratum], turns: float) -> float:
    """Return the design effect of labels where turns of one conversation fail together and several of them may be labelled.

    Args:
        strata: The window.
        turns: Turns that the conversation of an item has, labelled or not, from `mean_turns`.

    Example:
        >>> half = [Stratum(name="all", judged=200, labelled=100, good=94)]
        >>> labels_alike(half, 5.0), labels_alike(half, 1.0)
        (2.4, 1.0)
    """
    share = sum(one.labelled for one in strata) / max(sum(one.judged for one in strata), 1)
    return believed_design_effect(turns, share)


def _check_strata(strata: Sequence[Stratum]) -> None:
    names = [stratum.name for stratum in strata]
    if not 1 <= len(names) <= STRATA_MAX:
        raise malformed("strata", f"{len(names)} long", f"1 to {STRATA_MAX} strata")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise malformed("strata", f"naming {twice!r} twice", "one stratum for each verdict")


def _missing(strata: Sequence[Stratum], outside: int) -> NotEnoughEvidence | None:
    """Say which labels are missing, or None when there are enough."""
    labels = sum(stratum.labelled for stratum in strata)
    total = sum(stratum.judged for stratum in strata)
    bare = {
        s.name: STRATUM_LABELS_MIN - s.labelled
        for s in strata
        if s.judged >= STRATUM_SHARE_MIN * total and s.labelled < min(STRATUM_LABELS_MIN, s.judged)
    }
    if outside:
        reason = f"{outside} labels are older than the window: quality of now needs labels of now"
        have = max(0, labels - outside)
        need = max(LABELS_MIN, labels)
    elif labels < LABELS_MIN:
        reason = "nothing was labelled" if labels == 0 else f"{labels} labels are too few to state a quality"
        have, need = labels, LABELS_MIN
    elif bare:
        reason = f"too few labels for the verdicts {', '.join(map(repr, bare))}"
        have, need = labels, labels + sum(bare.values())
    else:
        return None
    return NotEnoughEvidence(
        reason=reason,
        have=have,
        need=need,
        unit="labels",
        remedy=f"Label {max(need - have, 1)} more items of this window, drawn at random within each verdict.",
    )


def _ends(judged: Floats, labelled: Floats, good: Floats, level: float) -> tuple[float, float]:
    """Ends of the posterior of sum q_k a_k; all arrays have shape (strata,)."""
    strata = len(judged)
    if strata == 1:
        tail = (1 - level) / 2
        ends = scipy.special.betaincinv(
            good[0] + 0.5, labelled[0] - good[0] + 0.5, np.array([tail, 1 - tail])
        )
        return float(ends[0]), float(ends[1])
    share_columns = 1 if strata == 2 else strata
    columns = share_columns + strata
    shares = dirichlet_draws(columns, judged)
    quality = np.zeros(LATTICE_POINTS)
    for k in range(strata):
        right = beta_draws(columns, share_columns + k, float(good[k]), float(labelled[k] - good[k]))
        quality += shares[:, k] * right
    return posterior_ends(quality, level)


def _too_wide(width: float, width_max: float, have: int, need: float, deff: float) -> NotEnoughEvidence:
    reason = f"the range is {100 * width:.1f} points wide; the charter accepts {100 * width_max:.1f}"
    if not math.isfinite(need):
        return NotEnoughEvidence(
            reason=reason,
            have=have,
            need=None,
            unit="labels",
            remedy="Judge more items: with so few judged ones no number of labels gives that width.",
        )
    total = max(math.ceil(need * deff), have + 1)
    return NotEnoughEvidence(
        reason=reason,
        have=have,
        need=total,
        unit="labels",
        remedy=f"Label about {total - have} more items, allocated by verdict.",
    )
