# SPDX-License-Identifier: Apache-2.0
"""Held outputs: rows of the review queue, as the callers see them that wait for a decision."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from pilothouse.core.evidence.review import (
    ITEM_TEXT_CHARS_MAX,
    OPEN_STATES,
    ItemState,
    ReviewItem,
    ReviewSource,
)
from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.review_tables import item_columns, review_items
from pilothouse.ledger.row_log import log_rows, logged_change
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ports.curation import ERASED
from pilothouse.ports.holds import HELD_OPEN_MAX, HeldOutput, Hold, HoldState
from pilothouse.ports.review import UNDO_WINDOW

__all__ = ["SqlHolds"]

EXPIRED_AT_ONCE_MAX = 1_000
"""Holds that one sweep ends; the next sweep takes the rest, so no transaction is long."""

_OPEN = tuple(state.value for state in OPEN_STATES)

_STATES = {
    ItemState.WAITING: HoldState.HELD,
    ItemState.CLAIMED: HoldState.CLAIMED,
    ItemState.ACCEPTED: HoldState.RELEASED,
    ItemState.CORRECTED: HoldState.CORRECTED,
    ItemState.REJECTED: HoldState.REJECTED,
    ItemState.UNSURE: HoldState.REJECTED,
    ItemState.EXPIRED: HoldState.EXPIRED,
}


class SqlHolds:
    """`ports.Holds` on the ledger.

    Args:
        database: The ledger.
        open_max: Held outputs of one agent that may wait at once.
    """

    def __init__(self, database: Database, *, open_max: int = HELD_OPEN_MAX) -> None:
        self._database = database
        self._open_max = open_max

    def hold(self, output: HeldOutput) -> Hold:
        """Hold an output, or return the existing hold of exactly this call."""
        _check_length(output)
        # Not made of the call: the id outlives an erasure, and a guess at the call could be held against it.
        hold_id = secrets.token_hex(16)
        with self._database.write() as connection:
            known = _held(connection, output)
            if known is not None:
                return _hold(known, output.held_at)
            waiting = connection.execute(
                select(func.count()).where(
                    review_items.c.agent == output.agent,
                    review_items.c.source == ReviewSource.HELD.value,
                    review_items.c.state.in_(_OPEN),
                )
            ).scalar_one()
            if waiting >= self._open_max:
                return _refused(hold_id, output, waiting)
            new = item_columns(_item(hold_id, output))
            connection.execute(insert(review_items).values(**new))
            log_rows(connection, review_items.name, added=[new], at=output.held_at, actor="pilothouse")
            _record(connection, "output.held", output.agent, hold_id, at=output.held_at)
            row = _row(connection, hold_id)
        if row is None:  # pragma: no cover - it was written three lines above
            raise AssertionError(hold_id)
        return _hold(row, output.held_at)

    def read(self, hold_id: str, now: datetime) -> Hold | None:
        """Return a hold as of a moment, or None for an unknown id."""
        with self._database.read() as connection:
            row = _row(connection, hold_id)
        if row is None:
            return None
        if row.state in _OPEN and row.due_us <= to_micros(now):
            self._expire(now, only=hold_id)
            with self._database.read() as connection:
                row = _row(connection, hold_id)
        return None if row is None else _hold(row, now)

    def expire(self, now: datetime) -> tuple[Hold, ...]:
        """Reject holds past their deadline and return them, at most 1,000 at once."""
        return self._expire(now)

    def _expire(self, now: datetime, *, only: str | None = None) -> tuple[Hold, ...]:
        late = (
            select(review_items)
            .where(
                review_items.c.source == ReviewSource.HELD.value,
                review_items.c.state.in_(_OPEN),
                review_items.c.due_us <= to_micros(now),
                *(() if only is None else (review_items.c.item_id == only,)),
            )
            .order_by(review_items.c.due_us)
            .limit(EXPIRED_AT_ONCE_MAX)
        )
        with self._database.read() as connection:
            if connection.execute(late.limit(1)).first() is None:
                return ()
        ended = []
        with self._database.write() as connection:
            rows = connection.execute(late).all()
            here = review_items.c.item_id.in_([row.item_id for row in rows])
            with logged_change(connection, review_items, here, at=now, actor="pilothouse"):
                connection.execute(
                    update(review_items)
                    .where(here)
                    .values(
                        state=ItemState.EXPIRED.value,
                        note="nobody decided in time",
                        holder=None,
                        held_until_us=None,
                        decided_us=review_items.c.due_us,
                    )
                )
            for row in rows:
                _record(connection, "output.expired", row.agent, row.item_id, at=now)
                done = _row(connection, row.item_id)
                if done is not None:
                    ended.append(_hold(done, now))
        return tuple(ended)


def _check_length(output: HeldOutput) -> None:
    for name, text in (("input", output.input), ("proposal", output.proposal)):
        if len(text) > ITEM_TEXT_CHARS_MAX:
            raise LimitExceeded(
                f"the {name} of a held output has {len(text):,} characters, a reviewer is shown {ITEM_TEXT_CHARS_MAX:,}",
                remedy="Reject it, or hold a summary that names where the whole text is; `pilothouse traces` shows it.",
                subject=output.agent,
            )


def _item(hold_id: str, output: HeldOutput) -> ReviewItem:
    return ReviewItem(
        item_id=hold_id,
        agent=output.agent,
        task_type=output.task_type,
        trace_id=output.trace_id,
        version=output.version,
        source=ReviewSource.HELD,
        why=output.reason,
        input=output.input,
        proposal=output.proposal,
        used=output.used,
        call_digest=output.call_digest,
        confidence=output.confidence,
        error_cost=output.error_cost,
        created_at=output.held_at,
        due_at=output.deadline,
    )


def _row(connection: Connection, hold_id: str) -> Row[Any] | None:
    return connection.execute(
        select(review_items).where(
            review_items.c.item_id == hold_id, review_items.c.source == ReviewSource.HELD.value
        )
    ).first()


def _held(connection: Connection, output: HeldOutput) -> Row[Any] | None:
    """Return the hold of exactly this call of this task, or None."""
    return connection.execute(
        select(review_items).where(
            review_items.c.trace_id == output.trace_id,
            review_items.c.agent == output.agent,
            review_items.c.source == ReviewSource.HELD.value,
            review_items.c.call_digest == output.call_digest,
        )
    ).first()


def _hold(row: Row[Any], now: datetime) -> Hold:
    state = _STATES[ItemState(row.state)]
    decided_at = None if row.decided_us is None else from_micros(row.decided_us)
    by_person = row.decided_by is not None
    if by_person and decided_at is not None and now < decided_at + UNDO_WINDOW:
        state = HoldState.CLAIMED  # the reviewer can still take it back
    output = {HoldState.RELEASED: row.proposal, HoldState.CORRECTED: row.correction}.get(state)
    if output == ERASED:  # there is nothing left that could be delivered
        state, output = HoldState.REJECTED, None
    return Hold(
        hold_id=row.item_id,
        agent=row.agent,
        trace_id=row.trace_id,
        call_digest=row.call_digest,
        state=state,
        output=output,
        note=row.note if state.is_final else "",
        deadline=from_micros(row.due_us),
        decided_by=row.decided_by if state.is_final else None,
        decided_at=decided_at if state.is_final else None,
    )


def _refused(hold_id: str, output: HeldOutput, waiting: int) -> Hold:
    return Hold(
        hold_id=hold_id,
        agent=output.agent,
        trace_id=output.trace_id,
        call_digest=output.call_digest,
        state=HoldState.REJECTED,
        note=f"the review queue is full: {waiting:,} outputs wait already",
        deadline=output.deadline,
        decided_at=output.held_at,
    )


def _record(connection: Connection, kind: str, agent: str, hold_id: str, *, at: datetime) -> None:
    append_decision(connection, kind=kind, agent=agent, at=at, actor="pilothouse", document={"item": hold_id})
