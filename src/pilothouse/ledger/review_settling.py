# SPDX-License-Identifier: Apache-2.0
"""Steps on one item of the review queue inside a transaction: claiming it, settling it, and settling its duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Select, exists, func, insert, or_, select, update

from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    OPEN_STATES,
    Answer,
    ItemState,
    Label,
    ReviewSource,
)
from pilothouse.errors import Conflict, LimitExceeded, UnknownName
from pilothouse.ledger.review_order import CLAIM_AHEAD_US, free, may_have
from pilothouse.ledger.review_tables import label_columns, read_item, review_items, review_labels
from pilothouse.ledger.row_log import logged_change
from pilothouse.ledger.schema import to_micros
from pilothouse.ports.curation import ERASED
from pilothouse.ports.review import CLAIM_LIFE, ITEMS_READ_MAX, ItemRecord

__all__ = [
    "NOBODY",
    "check_length",
    "give",
    "is_repeated",
    "need_row",
    "refuse_gone_on",
    "refuse_other_holder",
    "refuse_other_opinion",
    "refuse_other_person",
    "row_of",
    "settle",
    "twins_of",
]

UNSURE_MAX = 2
"""People who may be unsure about a label item before it is closed as one that nobody can answer."""

_LABEL_SOURCES = (ReviewSource.SAMPLED.value, ReviewSource.FLAGGED.value, ReviewSource.DISPUTED.value)
"""Sources whose duplicates share one answer: nothing waits for them."""

_ITEM, _LABEL = review_items.c, review_labels.c

NOBODY: dict[str, Any] = {
    "holder": None,
    "held_until_us": None,
    "correction": None,
    "note": "",
    "decided_by": None,
    "decided_us": None,
}
"""Columns of an item that nobody has and nobody decided."""


def row_of(connection: Connection, item_id: str) -> Row[Any] | None:
    """Return the row of an item, or None."""
    return connection.execute(select(review_items).where(_ITEM.item_id == item_id)).first()


def need_row(connection: Connection, item_id: str) -> Row[Any]:
    """Return the row of an item.

    Raises:
        UnknownName: Nothing has this id.
    """
    row = row_of(connection, item_id)
    if row is None:
        raise UnknownName(
            "nothing in the review queue has this id", remedy="Take the next one: /review", subject=item_id
        )
    return row


def refuse_other_holder(row: Row[Any], reviewer: str, at: int) -> None:
    """Raise when an item is answered, too late, or claimed by another person.

    Args:
        row: The item.
        reviewer: Who wants it.
        at: The moment, microseconds.

    Raises:
        Conflict: It is one of these.
    """
    state = ItemState(row.state)
    if not state.is_open:
        who = f" by {row.decided_by}" if row.decided_by else ""
        raise Conflict(
            f"this item is {state.value} already{who}",
            remedy="Take the next one: /review",
            subject=row.item_id,
        )
    if row.source == ReviewSource.HELD.value and row.due_us <= at:
        raise Conflict(
            "the time for this decision has passed; the output was rejected, not delivered",
            remedy="Take the next one: /review",
            subject=row.item_id,
        )
    if row.holder not in {None, reviewer} and at < (row.held_until_us or 0) <= at + CLAIM_AHEAD_US:
        raise Conflict(
            f"{row.holder} has this item open", remedy="Take the next one: /review", subject=row.item_id
        )


def refuse_other_person(connection: Connection, item_id: str, reviewer: str) -> None:
    """Raise when an item is assigned to somebody else, or this person has given an opinion on it.

    Raises:
        Conflict: It is one of these.
    """
    allowed = select(exists().where(_ITEM.item_id == item_id, may_have(reviewer)))
    if not connection.execute(allowed).scalar_one():
        raise Conflict(
            "this item is not for you: you have answered its content, or it is meant for another person",
            remedy="Take the next one: /review",
            subject=item_id,
        )


def refuse_other_opinion(connection: Connection, row: Row[Any], reviewer: str) -> None:
    """Raise when the assignee has answered the item or given an opinion on the same output.

    Raises:
        Conflict: Two opinions would be one person's.
    """
    given = select(
        exists().where(
            _LABEL.reviewer == reviewer,
            _LABEL.undone_us.is_(None),
            _LABEL.item_id.in_(_opinions(row)),
        )
    )
    if connection.execute(given).scalar_one():
        raise Conflict(
            "this item asks for another person's opinion: this one has answered it",
            remedy="Give it to somebody else, or to everybody.",
            subject=row.item_id,
        )


def _opinions(row: Row[Any]) -> Select[tuple[str]]:
    """Return the query for the ids of all opinions on one output, this one included; hidden repetitions do not count."""
    first = row.pair_of or row.item_id
    return select(_ITEM.item_id).where(
        or_(_ITEM.item_id == first, _ITEM.pair_of == first), _ITEM.source != ReviewSource.CANARY.value
    )


def refuse_gone_on(row: Row[Any], reviewer: str, at: int) -> None:
    """Raise when an answer cannot be undone because the item has moved on since.

    Args:
        row: The item.
        reviewer: Whose answer it was.
        at: The moment, microseconds.

    Raises:
        Conflict: Another person has it open or has answered it, its time has passed, or its texts were erased.
    """
    is_mine = row.decided_by == reviewer
    is_free = ItemState(row.state).is_open and (
        row.holder in {None, reviewer} or not at < (row.held_until_us or 0) <= at + CLAIM_AHEAD_US
    )
    if not (is_mine or is_free) or row.proposal == ERASED:
        raise Conflict(
            "the item has gone on since your answer, which can no longer be taken back",
            remedy="Take the next one: /review",
            subject=row.item_id,
        )


def give(connection: Connection, item_id: str, reviewer: str, now: datetime) -> ItemRecord:
    """Claim an item for a person for the life of a claim, and return it."""
    connection.execute(
        update(review_items)
        .where(_ITEM.item_id == item_id)
        .values(state=ItemState.CLAIMED.value, holder=reviewer, held_until_us=to_micros(now + CLAIM_LIFE))
    )
    return read_item(need_row(connection, item_id))


def is_repeated(connection: Connection, row: Row[Any], label: Label) -> bool:
    """Return whether exactly this answer settled the item already: a form that was submitted twice."""
    given = connection.execute(
        select(review_labels)
        .where(_LABEL.item_id == row.item_id, _LABEL.reviewer == label.reviewer, _LABEL.undone_us.is_(None))
        .order_by(_LABEL.sequence.desc())
        .limit(1)
    ).first()
    return given is not None and (given.answer, given.correction) == (label.answer.value, label.correction)


def settle(connection: Connection, row: Row[Any], label: Label) -> RowMapping:
    """Store an answer and move the item to its next state; two unsure answers close an item to be labelled.

    Returns:
        The row of the answer, which the caller enters in the log.
    """
    columns = {**label_columns(label), "item_id": row.item_id, "agent": row.agent}
    kept = connection.execute(insert(review_labels).values(**columns).returning(review_labels)).mappings()
    answer = kept.one()
    state = label.answer.leads_to
    if label.answer is Answer.UNSURE and row.source != ReviewSource.HELD.value:
        unsure = connection.execute(
            select(func.count()).where(
                _LABEL.item_id == row.item_id,
                _LABEL.answer == Answer.UNSURE.value,
                _LABEL.undone_us.is_(None),
            )
        ).scalar_one()
        state = ItemState.UNSURE if unsure >= UNSURE_MAX else state
    if row.source == ReviewSource.CANARY.value and state.is_open:
        state = ItemState.UNSURE  # nobody else can say what this person said before
    if row.source != ReviewSource.CANARY.value:
        _free_other_opinions(connection, row, label)
    decided = {
        "correction": label.correction,
        "note": label.note,
        "decided_by": label.reviewer,
        "decided_us": to_micros(label.at),
    }
    connection.execute(
        update(review_items)
        .where(_ITEM.item_id == row.item_id)
        .values(**{**NOBODY, **({"only_for": None} if state.is_open else decided)}, state=state.value)
    )
    return answer


def _free_other_opinions(connection: Connection, row: Row[Any], label: Label) -> None:
    """Unassign this person's other opinions on the same output: they need somebody else now."""
    others = select(_ITEM.item_id).where(
        _ITEM.item_id.in_(_opinions(row)),
        _ITEM.only_for == label.reviewer,
        _ITEM.state.in_([one.value for one in OPEN_STATES]),
        _ITEM.item_id != row.item_id,
    )
    found = connection.execute(others).scalars().all()
    if not found:
        return
    freed = _ITEM.item_id.in_(found)
    with logged_change(connection, review_items, freed, at=label.at, actor=label.reviewer):
        connection.execute(update(review_items).where(freed).values(only_for=None))


def twins_of(connection: Connection, row: Row[Any], label: Label) -> Sequence[Row[Any]]:
    """Return open items of equal content that the same answer settles; no caller waits for any of them."""
    if row.source not in _LABEL_SOURCES or row.pair_of is not None or row.only_for is not None:
        return ()
    return connection.execute(
        select(review_items)
        .where(
            _ITEM.content_digest == row.content_digest,
            _ITEM.agent == row.agent,
            _ITEM.item_id != row.item_id,
            _ITEM.source.in_(_LABEL_SOURCES),
            _ITEM.pair_of.is_(None),
            _ITEM.only_for.is_(None),
            free(to_micros(label.at)),
            may_have(label.reviewer),
        )
        .limit(ITEMS_READ_MAX)
    ).all()


def check_length(name: str, text: str) -> None:
    """Raise for a text that is too long for a page to show.

    Raises:
        LimitExceeded: It is longer than an item may be.
    """
    if len(text) > ITEM_TEXT_CHARS_MAX:
        raise LimitExceeded(
            f"the {name} has {len(text):,} characters, at most {ITEM_TEXT_CHARS_MAX:,} are kept",
            remedy="Shorten it and send again.",
            subject=name,
        )
