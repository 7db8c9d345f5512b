# SPDX-License-Identifier: Apache-2.0
"""What cases of a rate are worth where some are turns of one conversation: they fail together, and prove less."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from pilothouse.core.evidence.evidence import WORTH
from pilothouse.core.statistics.clusters import DesignEffect, cluster_indexes, label_design_effect

__all__ = ["worth_of"]


def worth_of(good: Sequence[bool], conversations: Sequence[Hashable | None]) -> dict[str, int]:
    """Return what cases are worth, as a record of a rate counts it; nothing where each stands alone.

    Where conversations are too few, or one is too large, to know how alike their turns are, they count as if all turns of
    one were the same: nothing is proved of them that would not be proved of so many single cases.

    Args:
        good: Whether each case was good, shape (n,), n >= 1.
        conversations: Conversation of each, None for a case that stands alone.

    Source:
        `label_design_effect`; Kish 1965 for clusters of unequal size whose cases are all alike.

    Example:
        >>> worth_of([True, False], ["a", "b"]), worth_of([True, True, False], ["a", "a", None])
        ({}, {'worth': 1})
    """
    named = [one for one in conversations if one is not None]
    if len(set(named)) == len(named):
        return {}
    effect = label_design_effect(good, conversations)
    if isinstance(effect, DesignEffect):
        worth = len(good) / effect.value
    else:
        sizes = np.bincount(cluster_indexes(conversations)).astype(np.float64)
        worth = float(sizes.sum() ** 2 / (sizes**2).sum())
    return {WORTH: max(1, math.floor(worth))}
