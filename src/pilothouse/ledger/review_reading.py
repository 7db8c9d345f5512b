# SPDX-License-Identifier: Apache-2.0
"""Queries of the review queue: items, answers, and counts of open items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, case, func, select

from pilothouse.core.evidence.review import OPEN_STATES, ItemState, ReviewSource
from pilothouse.ledger.review_tables import review_items, review_labels
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ports.review import ITEMS_READ_MAX, QueueCount

__all__ = ["counts_wanted", "items_wanted", "labels_wanted", "read_count"]

_ITEM, _LABEL = review_items.c, review_labels.c


def items_wanted(
    agent: str,
    *,
    states: Sequence[ItemState],
    sources: Sequence[ReviewSource],
    since: datetime | None,
    limit: int,
) -> Select[Any]:
    """Return the query for items of an agent, newest first; no state and no source mean any."""
    wanted = select(review_items).where(_ITEM.agent == agent)
    if states:
        wanted = wanted.where(_ITEM.state.in_([state.value for state in states]))
    if sources:
        wanted = wanted.where(_ITEM.source.in_([source.value for source in sources]))
    if since is not None:
        wanted = wanted.where(_ITEM.created_us >= to_micros(since))
    return wanted.order_by(_ITEM.created_us.desc(), _ITEM.item_id).limit(min(limit, ITEMS_READ_MAX))


def labels_wanted(
    agent: str | None, *, reviewer: str | None, since: datetime | None, limit: int
) -> Select[Any]:
    """Return the query for valid answers, newest first."""
    wanted = select(review_labels).where(_LABEL.undone_us.is_(None))
    if agent is not None:
        wanted = wanted.where(_LABEL.agent == agent)
    if reviewer is not None:
        wanted = wanted.where(_LABEL.reviewer == reviewer)
    if since is not None:
        wanted = wanted.where(_LABEL.at_us >= to_micros(since))
    return wanted.order_by(_LABEL.sequence.desc()).limit(min(limit, ITEMS_READ_MAX))


def counts_wanted(agents: Sequence[str], now: datetime) -> Select[Any]:
    """Return the query for open items, by agent and source."""
    late = case((_ITEM.due_us <= to_micros(now), 1), else_=0)
    return (
        select(
            _ITEM.agent,
            _ITEM.source,
            func.count().label("waiting"),
            func.sum(late).label("overdue"),
            func.min(_ITEM.due_us).label("next_due_us"),
        )
        .where(_ITEM.agent.in_(agents), _ITEM.state.in_([state.value for state in OPEN_STATES]))
        .group_by(_ITEM.agent, _ITEM.source)
        .order_by(_ITEM.agent, _ITEM.source)
    )


def read_count(row: Row[Any]) -> QueueCount:
    """Return the count of open items of one source."""
    return QueueCount(
        agent=row.agent,
        source=ReviewSource(row.source),
        waiting=row.waiting,
        overdue=row.overdue,
        next_due=from_micros(row.next_due_us),
    )
