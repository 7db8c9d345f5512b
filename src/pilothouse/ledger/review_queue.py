# SPDX-License-Identifier: Apache-2.0
"""The review queue: who has which item open, and what was answered, each step one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    Answer,
    ItemState,
    Label,
    ReviewItem,
    ReviewSource,
)
from pilothouse.errors import Conflict, LimitExceeded, UnknownName
from pilothouse.ledger.database import Database
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.review_order import free, live, may_have, next_for
from pilothouse.ledger.review_tables import (
    item_columns,
    label_columns,
    read_item,
    read_label,
    review_drafts,
    review_items,
    review_labels,
)
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ports.review import CLAIM_LIFE, ITEMS_READ_MAX, UNDO_WINDOW, ItemRecord, QueueCount

__all__ = ["SqlReviewQueue"]

UNSURE_MAX = 2
"""People who may be unsure about a label item before it is closed as one that nobody can answer."""

NOTE_CHARS_MAX = 4_000
"""Characters of a reviewer's own words: a page of text."""

_LABEL_SOURCES = (ReviewSource.SAMPLED.value, ReviewSource.FLAGGED.value, ReviewSource.DISPUTED.value)
"""Sources whose duplicates share one answer: nothing waits for them."""

_ITEM, _LABEL = review_items.c, review_labels.c


class SqlReviewQueue:
    """`ports.ReviewQueue` on the ledger.

    Args:
        database: The ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, items: Sequence[ReviewItem]) -> int:
        """Add items; one that is known changes nothing. Return how many were new."""
        new = 0
        with self._database.write() as connection:
            for item in items:
                _check_length("proposal", item.proposal)
                _check_length("input", item.input)
                known = select(exists().where(_ITEM.item_id == item.item_id))
                if not connection.execute(known).scalar_one():
                    connection.execute(insert(review_items).values(**item_columns(item)))
                    new += 1
        return new

    def claim_next(self, reviewer: str, agents: Sequence[str], now: datetime) -> ItemRecord | None:
        """Return the item this person has open, or give the most urgent one that waits; None when none does."""
        at = to_micros(now)
        with self._database.write() as connection:
            mine = select(review_items).where(_ITEM.holder == reviewer, _ITEM.agent.in_(agents), live(at))
            row = connection.execute(mine.order_by(_ITEM.held_until_us).limit(1)).first()
            if row is None:
                row = connection.execute(next_for(reviewer, agents, at)).first()
            if row is None:
                return None
            return _give(connection, row.item_id, reviewer, now)

    def claim(self, item_id: str, reviewer: str, now: datetime) -> ItemRecord:
        """Give one item to a person."""
        at = to_micros(now)
        with self._database.write() as connection:
            row = _need(connection, item_id)
            _refuse_other_holder(row, reviewer, at)
            if not connection.execute(
                select(exists().where(_ITEM.item_id == item_id, may_have(reviewer)))
            ).scalar_one():
                raise Conflict(
                    "this item is not for you: you have answered its content, or it is meant for another person",
                    remedy="Take the next one: /review",
                    subject=item_id,
                )
            return _give(connection, item_id, reviewer, now)

    def answer(self, label: Label) -> tuple[ItemRecord, int]:
        """Keep an answer and settle the item; return it and how many duplicates were settled with it."""
        _check_length("correction", label.correction or "")
        if len(label.note) > NOTE_CHARS_MAX:
            raise LimitExceeded(
                f"the note has {len(label.note):,} characters, at most {NOTE_CHARS_MAX:,} are kept",
                remedy="Shorten it and send again.",
                subject=label.item_id,
            )
        with self._database.write() as connection:
            row = _need(connection, label.item_id)
            if _is_repeated(connection, row, label):
                return read_item(row), 0
            _refuse_other_holder(row, label.reviewer, to_micros(label.at))
            _settle(connection, row, label)
            twins = _twins(connection, row, label) if label.answer.decides else ()
            for twin in twins:
                _settle(connection, twin, label)
            document = canonical_json(
                {
                    "item": row.item_id,
                    "call": row.call_digest,
                    "answer": label.answer.value,
                    "also": [twin.item_id for twin in twins],
                }
            )
            append_decision(
                connection,
                kind="review.answered",
                agent=row.agent,
                at=label.at,
                actor=label.reviewer,
                document=document,
            )
            connection.execute(
                delete(review_drafts).where(
                    review_drafts.c.item_id == row.item_id, review_drafts.c.reviewer == label.reviewer
                )
            )
            return read_item(_need(connection, row.item_id)), len(twins)

    def undo(self, reviewer: str, now: datetime) -> ItemRecord | None:
        """Take the person's last answer back and open the item again; None when it is older than `UNDO_WINDOW`."""
        at = to_micros(now)
        with self._database.write() as connection:
            last = connection.execute(
                select(review_labels)
                .where(
                    _LABEL.reviewer == reviewer,
                    _LABEL.undone_us.is_(None),
                    _LABEL.at_us > to_micros(now - UNDO_WINDOW),
                )
                .order_by(_LABEL.sequence.desc())
                .limit(1)
            ).first()
            if last is None:
                return None
            same = and_(_LABEL.reviewer == reviewer, _LABEL.at_us == last.at_us, _LABEL.undone_us.is_(None))
            ids = (
                connection.execute(select(_LABEL.item_id).where(same).order_by(_LABEL.sequence))
                .scalars()
                .all()
            )
            connection.execute(update(review_labels).where(same).values(undone_us=at))
            connection.execute(
                update(review_items)
                .where(_ITEM.item_id.in_(ids))
                .values(**_NOBODY, state=ItemState.WAITING.value)
            )
            document = canonical_json({"items": list(ids)})
            append_decision(
                connection, kind="review.undone", agent=last.agent, at=now, actor=reviewer, document=document
            )
            return _give(connection, ids[0], reviewer, now)

    def assign(self, item_id: str, reviewer: str | None, *, actor: str, now: datetime) -> ItemRecord:
        """Give an open item to one person, or back to everybody."""
        with self._database.write() as connection:
            row = _need(connection, item_id)
            if row.source == ReviewSource.CANARY.value or not ItemState(row.state).is_open:
                raise Conflict(
                    "this item cannot be given to another person: it is answered, or a repetition for one person",
                    remedy="See what waits: `pilothouse review`.",
                    subject=item_id,
                )
            values: dict[str, Any] = {"only_for": reviewer}
            if row.holder not in {None, reviewer}:
                values |= {**_NOBODY, "state": ItemState.WAITING.value}
            connection.execute(update(review_items).where(_ITEM.item_id == item_id).values(**values))
            document = canonical_json({"item": item_id, "to": reviewer})
            append_decision(
                connection, kind="review.assigned", agent=row.agent, at=now, actor=actor, document=document
            )
            return read_item(_need(connection, item_id))

    def record(self, item_id: str) -> ItemRecord | None:
        """Return an item as it stands, or None."""
        with self._database.read() as connection:
            row = _row(connection, item_id)
        return None if row is None else read_item(row)

    def items(
        self,
        agent: str,
        *,
        states: Sequence[ItemState] = (),
        sources: Sequence[ReviewSource] = (),
        since: datetime | None = None,
        limit: int = ITEMS_READ_MAX,
    ) -> Sequence[ItemRecord]:
        """Return items of an agent, newest first."""
        wanted = select(review_items).where(_ITEM.agent == agent)
        if states:
            wanted = wanted.where(_ITEM.state.in_([state.value for state in states]))
        if sources:
            wanted = wanted.where(_ITEM.source.in_([source.value for source in sources]))
        if since is not None:
            wanted = wanted.where(_ITEM.created_us >= to_micros(since))
        wanted = wanted.order_by(_ITEM.created_us.desc(), _ITEM.item_id).limit(min(limit, ITEMS_READ_MAX))
        with self._database.read() as connection:
            return tuple(read_item(row) for row in connection.execute(wanted))

    def labels(
        self,
        agent: str | None = None,
        *,
        reviewer: str | None = None,
        since: datetime | None = None,
        limit: int = ITEMS_READ_MAX,
    ) -> Sequence[Label]:
        """Return answers that stand, newest first."""
        wanted = select(review_labels).where(_LABEL.undone_us.is_(None))
        if agent is not None:
            wanted = wanted.where(_LABEL.agent == agent)
        if reviewer is not None:
            wanted = wanted.where(_LABEL.reviewer == reviewer)
        if since is not None:
            wanted = wanted.where(_LABEL.at_us >= to_micros(since))
        wanted = wanted.order_by(_LABEL.sequence.desc()).limit(min(limit, ITEMS_READ_MAX))
        with self._database.read() as connection:
            return tuple(read_label(row) for row in connection.execute(wanted))

    def counts(self, agents: Sequence[str], now: datetime) -> Sequence[QueueCount]:
        """Return what waits, by agent and source."""
        late = case((_ITEM.due_us <= to_micros(now), 1), else_=0)
        wanted = (
            select(
                _ITEM.agent,
                _ITEM.source,
                func.count().label("waiting"),
                func.sum(late).label("overdue"),
                func.min(_ITEM.due_us).label("next_due_us"),
            )
            .where(
                _ITEM.agent.in_(agents), _ITEM.state.in_((ItemState.WAITING.value, ItemState.CLAIMED.value))
            )
            .group_by(_ITEM.agent, _ITEM.source)
            .order_by(_ITEM.agent, _ITEM.source)
        )
        with self._database.read() as connection:
            return tuple(
                QueueCount(
                    agent=row.agent,
                    source=ReviewSource(row.source),
                    waiting=row.waiting,
                    overdue=row.overdue,
                    next_due=from_micros(row.next_due_us),
                )
                for row in connection.execute(wanted)
            )

    def save_draft(self, item_id: str, reviewer: str, text: str, now: datetime) -> None:
        """Keep what a person has typed so far (at most 64 KiB); an empty text forgets it."""
        _check_length("draft", text)
        one = and_(review_drafts.c.item_id == item_id, review_drafts.c.reviewer == reviewer)
        with self._database.write() as connection:
            _need(connection, item_id)
            connection.execute(delete(review_drafts).where(one))
            if text:
                connection.execute(
                    insert(review_drafts).values(
                        item_id=item_id, reviewer=reviewer, text=text, at_us=to_micros(now)
                    )
                )

    def draft(self, item_id: str, reviewer: str) -> str:
        """Return what a person has typed so far, or an empty text."""
        one = and_(review_drafts.c.item_id == item_id, review_drafts.c.reviewer == reviewer)
        with self._database.read() as connection:
            found = connection.execute(select(review_drafts.c.text).where(one)).scalar_one_or_none()
        return found or ""


_NOBODY: dict[str, Any] = {
    "holder": None,
    "held_until_us": None,
    "correction": None,
    "note": "",
    "decided_by": None,
    "decided_us": None,
}


def _row(connection: Connection, item_id: str) -> Row[Any] | None:
    return connection.execute(select(review_items).where(_ITEM.item_id == item_id)).first()


def _need(connection: Connection, item_id: str) -> Row[Any]:
    row = _row(connection, item_id)
    if row is None:
        raise UnknownName(
            "nothing in the review queue has this id", remedy="Take the next one: /review", subject=item_id
        )
    return row


def _refuse_other_holder(row: Row[Any], reviewer: str, at: int) -> None:
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
    if row.holder not in {None, reviewer} and (row.held_until_us or 0) > at:
        raise Conflict(
            f"{row.holder} has this item open", remedy="Take the next one: /review", subject=row.item_id
        )


def _give(connection: Connection, item_id: str, reviewer: str, now: datetime) -> ItemRecord:
    connection.execute(
        update(review_items)
        .where(_ITEM.item_id == item_id)
        .values(state=ItemState.CLAIMED.value, holder=reviewer, held_until_us=to_micros(now + CLAIM_LIFE))
    )
    return read_item(_need(connection, item_id))


def _is_repeated(connection: Connection, row: Row[Any], label: Label) -> bool:
    """Whether this very answer of this person is what settled the item: a form that was sent twice."""
    given = connection.execute(
        select(review_labels)
        .where(_LABEL.item_id == row.item_id, _LABEL.reviewer == label.reviewer, _LABEL.undone_us.is_(None))
        .order_by(_LABEL.sequence.desc())
        .limit(1)
    ).first()
    return given is not None and (given.answer, given.correction) == (label.answer.value, label.correction)


def _settle(connection: Connection, row: Row[Any], label: Label) -> None:
    connection.execute(
        insert(review_labels).values(**{**label_columns(label), "item_id": row.item_id, "agent": row.agent})
    )
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
    decided = {
        "correction": label.correction,
        "note": label.note,
        "decided_by": label.reviewer,
        "decided_us": to_micros(label.at),
    }
    connection.execute(
        update(review_items)
        .where(_ITEM.item_id == row.item_id)
        .values(**{**_NOBODY, **({} if state.is_open else decided)}, state=state.value)
    )


def _twins(connection: Connection, row: Row[Any], label: Label) -> Sequence[Row[Any]]:
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
        )
        .limit(ITEMS_READ_MAX)
    ).all()


def _check_length(name: str, text: str) -> None:
    if len(text) > ITEM_TEXT_CHARS_MAX:
        raise LimitExceeded(
            f"the {name} has {len(text):,} characters, at most {ITEM_TEXT_CHARS_MAX:,} are kept",
            remedy="Shorten it and send again.",
            subject=name,
        )
