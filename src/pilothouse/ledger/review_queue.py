# SPDX-License-Identifier: Apache-2.0
"""The review queue: items are claimed and answered, each step in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, insert, select, update

from pilothouse.core.evidence.review import ItemState, Label, ReviewItem, ReviewSource
from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.review_order import live, next_for
from pilothouse.ledger.review_reading import counts_wanted, items_wanted, labels_wanted, read_count
from pilothouse.ledger.review_settling import (
    NOBODY,
    check_length,
    give,
    is_repeated,
    need_row,
    refuse_gone_on,
    refuse_other_holder,
    refuse_other_opinion,
    refuse_other_person,
    row_of,
    settle,
    twins_of,
)
from pilothouse.ledger.review_tables import (
    item_columns,
    read_item,
    read_label,
    review_drafts,
    review_items,
    review_labels,
)
from pilothouse.ledger.row_log import log_rows, logged_change
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ports.review import ITEMS_READ_MAX, UNDO_WINDOW, ItemRecord, QueueCount

__all__ = ["SqlReviewQueue"]

NOTE_CHARS_MAX = 4_000
"""Characters of a reviewer's own words: a page of text."""

_ITEM, _LABEL = review_items.c, review_labels.c


class SqlReviewQueue(Repository):
    """`ports.ReviewQueue` on the ledger."""

    def add(self, items: Sequence[ReviewItem]) -> int:
        """Add items, ignoring known ones, and return how many were new."""
        new: list[dict[str, Any]] = []
        with self.database.write() as connection:
            for item in items:
                check_length("proposal", item.proposal)
                check_length("input", item.input)
                known = select(exists().where(_ITEM.item_id == item.item_id))
                if not connection.execute(known).scalar_one():
                    new.append(item_columns(item))
                    connection.execute(insert(review_items).values(**new[-1]))
            if new:
                at = from_micros(max(row["created_us"] for row in new))
                log_rows(connection, review_items.name, added=new, at=at, actor="pilothouse")
        return len(new)

    def claim_next(self, reviewer: str, agents: Sequence[str], now: datetime) -> ItemRecord | None:
        """Return the item that this person has open, or claim the most urgent one; None when none is open."""
        at = to_micros(now)
        with self.database.write() as connection:
            mine = select(review_items).where(_ITEM.holder == reviewer, _ITEM.agent.in_(agents), live(at))
            row = connection.execute(mine.order_by(_ITEM.held_until_us).limit(1)).first()
            if row is None:
                row = connection.execute(next_for(reviewer, agents, at)).first()
            if row is None:
                return None
            return give(connection, row.item_id, reviewer, now)

    def claim(self, item_id: str, reviewer: str, now: datetime) -> ItemRecord:
        """Claim one item for a person."""
        at = to_micros(now)
        with self.database.write() as connection:
            row = need_row(connection, item_id)
            refuse_other_holder(row, reviewer, at)
            refuse_other_person(connection, item_id, reviewer)
            return give(connection, item_id, reviewer, now)

    def answer(self, label: Label) -> tuple[ItemRecord, int]:
        """Store an answer and settle the item; return it and how many duplicates were settled with it."""
        check_length("correction", label.correction or "")
        if len(label.note) > NOTE_CHARS_MAX:
            raise LimitExceeded(
                f"the note has {len(label.note):,} characters, at most {NOTE_CHARS_MAX:,} are kept",
                remedy="Shorten it and send again.",
                subject=label.item_id,
            )
        with self.database.write() as connection:
            row = need_row(connection, label.item_id)
            if is_repeated(connection, row, label):
                return read_item(row), 0
            refuse_other_holder(row, label.reviewer, to_micros(label.at))
            refuse_other_person(connection, label.item_id, label.reviewer)
            twins = twins_of(connection, row, label) if label.answer.decides else ()
            settled = _ITEM.item_id.in_([row.item_id, *(twin.item_id for twin in twins)])
            with logged_change(connection, review_items, settled, at=label.at, actor=label.reviewer):
                answers = [settle(connection, one, label) for one in (row, *twins)]
            log_rows(connection, review_labels.name, added=answers, at=label.at, actor=label.reviewer)
            document = {
                "item": row.item_id,
                "answer": label.answer.value,
                "also": [twin.item_id for twin in twins],
            }
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
            return read_item(need_row(connection, row.item_id)), len(twins)

    def undo(self, reviewer: str, now: datetime, *, item_id: str | None = None) -> ItemRecord | None:
        """Undo the person's last answer and reopen the item.

        None when it is older than `UNDO_WINDOW`, or is not about the item that is named.
        """
        at = to_micros(now)
        with self.database.write() as connection:
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
            if item_id is not None and item_id not in ids:
                return None
            for one in ids:
                refuse_gone_on(need_row(connection, one), reviewer, at)
            given = and_(_LABEL.reviewer == reviewer, _LABEL.at_us == last.at_us)
            with logged_change(connection, review_labels, given, at=now, actor=reviewer):
                connection.execute(update(review_labels).where(same).values(undone_us=at))
            taken = _ITEM.item_id.in_(ids)
            with logged_change(connection, review_items, taken, at=now, actor=reviewer):
                connection.execute(
                    update(review_items).where(taken).values(**NOBODY, state=ItemState.WAITING.value)
                )
            document = {"items": list(ids)}
            append_decision(
                connection, kind="review.undone", agent=last.agent, at=now, actor=reviewer, document=document
            )
            return give(connection, ids[0], reviewer, now)

    def assign(self, item_id: str, reviewer: str | None, *, actor: str, now: datetime) -> ItemRecord:
        """Assign an open item to one person, or to anybody with None."""
        with self.database.write() as connection:
            row = need_row(connection, item_id)
            if row.source == ReviewSource.CANARY.value or not ItemState(row.state).is_open:
                raise Conflict(
                    "this item cannot be given to another person: it is answered, or a repetition for one person",
                    remedy="See what waits: `pilothouse review`.",
                    subject=item_id,
                )
            if reviewer is not None:
                refuse_other_opinion(connection, row, reviewer)
            values: dict[str, Any] = {"only_for": reviewer}
            if row.holder not in {None, reviewer}:
                values |= {**NOBODY, "state": ItemState.WAITING.value}
            here = _ITEM.item_id == item_id
            with logged_change(connection, review_items, here, at=now, actor=actor):
                connection.execute(update(review_items).where(here).values(**values))
            document = {"item": item_id, "to": reviewer}
            append_decision(
                connection, kind="review.assigned", agent=row.agent, at=now, actor=actor, document=document
            )
            return read_item(need_row(connection, item_id))

    def record(self, item_id: str) -> ItemRecord | None:
        """Return an item, or None."""
        with self.database.read() as connection:
            row = row_of(connection, item_id)
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
        wanted = items_wanted(agent, states=states, sources=sources, since=since, limit=limit)
        with self.database.read() as connection:
            return tuple(read_item(row) for row in connection.execute(wanted))

    def labels(
        self,
        agent: str | None = None,
        *,
        reviewer: str | None = None,
        since: datetime | None = None,
        limit: int = ITEMS_READ_MAX,
    ) -> Sequence[Label]:
        """Return valid answers, newest first."""
        wanted = labels_wanted(agent, reviewer=reviewer, since=since, limit=limit)
        with self.database.read() as connection:
            return tuple(read_label(row) for row in connection.execute(wanted))

    def counts(self, agents: Sequence[str], now: datetime) -> Sequence[QueueCount]:
        """Return how many items are open, by agent and source."""
        with self.database.read() as connection:
            return tuple(read_count(row) for row in connection.execute(counts_wanted(agents, now)))

    def save_draft(self, item_id: str, reviewer: str, text: str, now: datetime) -> None:
        """Store a person's draft (at most 64 KiB); an empty text deletes it."""
        check_length("draft", text)
        one = and_(review_drafts.c.item_id == item_id, review_drafts.c.reviewer == reviewer)
        with self.database.write() as connection:
            need_row(connection, item_id)
            connection.execute(delete(review_drafts).where(one))
            if text:
                connection.execute(
                    insert(review_drafts).values(
                        item_id=item_id, reviewer=reviewer, text=text, at_us=to_micros(now)
                    )
                )

    def draft(self, item_id: str, reviewer: str) -> str:
        """Return a person's draft, or an empty text."""
        one = and_(review_drafts.c.item_id == item_id, review_drafts.c.reviewer == reviewer)
        with self.database.read() as connection:
            found = connection.execute(select(review_drafts.c.text).where(one)).scalar_one_or_none()
        return found or ""
