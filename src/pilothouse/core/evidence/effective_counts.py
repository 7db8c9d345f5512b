# SPDX-License-Identifier: Apache-2.0
"""Effective number of cases of a rate where some are turns of one conversation: they fail together, and prove less."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from pilothouse.core.evidence.evidence import REST, REST_BAD, REST_WORTH, WORTH
from pilothouse.core.statistics.clusters import RUNAWAYS_MAX, cluster_indexes, without_runaways, worth_of

__all__ = ["cases_of_a_day", "effective_counts", "rate_counts"]


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
    if _each_is_alone(conversations):
        return {}
    return {WORTH: worth_of(good, cluster_indexes(conversations))}


def rate_counts(good: Sequence[bool | None], conversations: Sequence[Hashable | None]) -> dict[str, int]:
    """Return the effective number of cases of a rate, and that of the rest where large conversations hide it.

    One conversation that runs away lets all cases be worth few. Where up to `RUNAWAYS_MAX` of the largest left out let the
    rest be worth more than all, the rest is counted too: a breach may hold on it.

    Args:
        good: Whether each case was good, None where it does not say, shape (n,), n >= 1.
        conversations: Conversation of each, None for an independent case.

    Example:
        >>> single = [None] * 300 + ["runs away"] * 60
        >>> rate_counts([True] * 255 + [False] * 105, single)
        {'worth': 20, 'rest': 300, 'rest_bad': 45, 'rest_worth': 300}
    """
    if _each_is_alone(conversations):
        return {}
    indexes = cluster_indexes(conversations)
    worth = most = worth_of([one is True for one in good], indexes)
    sizes = np.bincount(indexes)
    rest: dict[str, int] = {}
    kept = np.ones(len(indexes), dtype=np.bool_)
    for largest in np.argsort(-sizes, kind="stable")[:RUNAWAYS_MAX]:
        kept &= indexes != largest
        if sizes[largest] == 1 or not kept.any():
            break
        told = [good[place] for place in np.flatnonzero(kept).tolist()]
        found = worth_of([one is True for one in told], cluster_indexes(indexes[kept]))
        if found > most:
            most = found
            rest = {REST: len(told), REST_BAD: sum(one is False for one in told), REST_WORTH: found}
    return {WORTH: worth, **rest}


def cases_of_a_day(good: Sequence[bool], conversations: Sequence[Hashable | None]) -> tuple[int, int, int]:
    """Return the cases that a detector counts of a day, the good ones among them, and how many independent ones they are worth.

    Args:
        good: Whether each case was good, shape (n,).
        conversations: Conversation of each, None for an independent case.

    Example:
        >>> cases_of_a_day([True] * 50 + [False] * 9, ["runs away"] * 50 + [None] * 9)
        (9, 0, 9)
    """
    if _each_is_alone(conversations):
        return len(good), sum(good), len(good)
    kept = without_runaways(conversations)
    told = [one for one, is_kept in zip(good, kept, strict=True) if is_kept]
    groups = [one for one, is_kept in zip(conversations, kept, strict=True) if is_kept]
    return len(told), sum(told), effective_counts(told, groups).get(WORTH, len(told))


def _each_is_alone(conversations: Sequence[Hashable | None]) -> bool:
    named = [one for one in conversations if one is not None]
    return len(set(named)) == len(named)
