# SPDX-License-Identifier: Apache-2.0
"""Effective number of cases of a rate where some are turns of one conversation: they fail together, and prove less."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from pilothouse.core.evidence.evidence import WORTH
from pilothouse.core.statistics.clusters import DesignEffect, cluster_indexes, label_design_effect

__all__ = ["effective_counts"]


def effective_counts(good: Sequence[bool], conversations: Sequence[Hashable | None]) -> dict[str, int]:
    """Return the effective number of cases as a count of a record; empty where every case is independent.

    Where conversations are too few, or one is too large, to estimate how alike their turns are, all turns of one
    conversation count as equal: the sample then proves no more than as many independent cases would.

    Args:
        good: Whether each case was good, shape (n,), n >= 1.
        conversations: Conversation of each, None for an independent case.

    Source:
        `label_design_effect`; Kish 1965 for clusters of unequal size whose cases are all alike.

    Example:
        >>> effective_counts([True, False], ["a", "b"]), effective_counts([True, True, False], ["a", "a", None])
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
