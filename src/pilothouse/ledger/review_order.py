# SPDX-License-Identifier: Apache-2.0
"""Which items of the review queue are open, who may claim them, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.sql.expression import literal

from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.ledger.review_tables import review_items, review_labels
from pilothouse.ports.review import CLAIM_LIFE

__all__ = ["CLAIM_AHEAD_US", "free", "live", "may_have", "next_for"]

CLAIM_AHEAD_US = 2 * CLAIM_LIFE // timedelta(microseconds=1)
"""A claim that ends later than this was made before a clock went back, and would keep an item from everybody else: it has
lapsed. Twice its life, for servers whose clocks differ by minutes."""

_URGENT_US = 60_000_000
"""Less than a minute left counts as a minute, so that no division runs away."""

_PEOPLE_KEPT_MAX = 256
"""Conditions that are kept, one for each person who answers: making one anew was a quarter of an answer's time."""

_ITEM, _LABEL = review_items.c, review_labels.c


def live(at: int) -> ColumnElement[bool]:
    """Return the condition that an item has a live claim and can still be decided: a late held output is only rejected.

    Args:
        at: The moment, microseconds.
    """
    return and_(
        _ITEM.state == ItemState.CLAIMED.value,
        _ITEM.held_until_us.between(at + 1, at + CLAIM_AHEAD_US),
        or_(_ITEM.source != ReviewSource.HELD.value, _ITEM.due_us > at),
    )


def free(at: int) -> ColumnElement[bool]:
    """Return the condition that anybody may claim an item.

    Args:
        at: The moment, microseconds.
    """
    lapsed = and_(
        _ITEM.state == ItemState.CLAIMED.value,
        or_(_ITEM.held_until_us <= at, _ITEM.held_until_us > at + CLAIM_AHEAD_US),
    )
    return and_(
        or_(_ITEM.state == ItemState.WAITING.value, lapsed),
        or_(_ITEM.source != ReviewSource.HELD.value, _ITEM.due_us > at),
    )


@lru_cache(maxsize=_PEOPLE_KEPT_MAX)
def may_have(reviewer: str) -> ColumnElement[bool]:
    """Return the condition that a person may claim an item: it is unassigned or theirs, and they have given no opinion on it.

    Whoever is given an item is no exception; only a repetition is meant for who has answered it before.
    """
    other = review_items.alias("other")
    mine = and_(_LABEL.reviewer == reviewer, _LABEL.undone_us.is_(None))
    # Asked once for all items: the outputs on which this person has given any opinion, each by its first item.
    known = select(func.coalesce(other.c.pair_of, other.c.item_id)).where(
        other.c.item_id.in_(select(_LABEL.item_id).where(mine))
    )
    is_repetition = _ITEM.source == ReviewSource.CANARY.value
    return and_(
        or_(_ITEM.only_for == reviewer, _ITEM.only_for.is_(None)),
        or_(
            and_(is_repetition, _ITEM.item_id.not_in(select(_LABEL.item_id).where(mine))),
            and_(~is_repetition, func.coalesce(_ITEM.pair_of, _ITEM.item_id).not_in(known)),
        ),
    )


def next_for(reviewer: str, agents: Sequence[str], at: int) -> Select[Any]:
    """Return the query for the most urgent item: the highest cost of an error per minute left.

    Args:
        reviewer: Who asks.
        agents: Agents that the person reviews.
        at: The moment, microseconds.
    """
    left = _ITEM.due_us - literal(at)
    minutes = case((left < _URGENT_US, _URGENT_US), else_=left)
    # An unknown cost counts as the mean of money: one unit, so that the due time alone decides among such.
    urgency = func.coalesce(_ITEM.error_cost_micros, 1_000_000) * 1.0 / minutes
    return (
        select(review_items)
        .where(_ITEM.agent.in_(agents), free(at), may_have(reviewer))
        .order_by(urgency.desc(), _ITEM.due_us, _ITEM.item_id)
        .limit(1)
    )
