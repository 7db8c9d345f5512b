# SPDX-License-Identifier: Apache-2.0
"""Permute whole groups between two windows, so that dependence inside a group does no harm."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from pilothouse.core.statistics.checks import Floats
from pilothouse.core.statistics.clusters import cluster_indexes

__all__ = ["PERMUTATIONS_MAX", "permutation_p", "permuted_memberships"]

PERMUTATIONS_MAX = 9_999
"""Permutations of one test: p-values below one in ten thousand decide nothing more."""


def permuted_memberships(
    reference: Sequence[Hashable], current: Sequence[Hashable], permutations: int, rng: np.random.Generator
) -> Floats:
    """Which items count as current: as observed in row 0, permuted by groups in the others.

    Args:
        reference: Group of each reference item; None is a group of its own.
        current: Group of each current item. The same name on both sides is two groups.
        permutations: How many permutations.
        rng: Source of the permutations.

    Returns:
        1 where the item counts as current, 0 otherwise, shape (permutations + 1, items), reference
        items first.

    Example:
        >>> rows = permuted_memberships(["a", "a"], ["b"], 3, np.random.Generator(np.random.PCG64(1)))
        >>> rows.shape, rows[0].tolist()
        ((4, 3), [0.0, 0.0, 1.0])
    """
    left = cluster_indexes(reference)
    right = cluster_indexes(current)
    groups_left = int(left.max()) + 1
    items = np.concatenate([left, right + groups_left])
    groups = int(items.max()) + 1
    observed = np.zeros(groups)
    observed[groups_left:] = 1.0
    rows = np.tile(observed, (permutations + 1, 1))
    rows[1:] = rng.permuted(rows[1:], axis=1)
    return rows[:, items]


def permutation_p(statistics: Floats) -> float:
    """P-value of the first statistic among itself and its permutations; never zero.

    Args:
        statistics: Observed first, then permuted, shape (permutations + 1,).

    Source:
        Phipson and Smyth 2010.

    Example:
        >>> permutation_p(np.array([3.0, 1.0, 2.0, 4.0]))
        0.5
    """
    observed = statistics[0]
    slack = 1e-12 * max(1.0, abs(float(observed)))
    return float((1 + (statistics[1:] >= observed - slack).sum()) / len(statistics))
