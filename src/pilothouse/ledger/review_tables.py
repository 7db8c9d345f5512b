# SPDX-License-Identifier: Apache-2.0
"""The tables of review: items in the queue, answers, and what somebody has typed so far."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    literal,
)

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.review import (
    Answer,
    ItemState,
    Label,
    ReviewItem,
    ReviewSource,
    content_digest,
)
from pilothouse.ledger.row_log import fresh_salt
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.review import ItemRecord

__all__ = [
    "digest_of_erased",
    "item_columns",
    "label_columns",
    "read_item",
    "read_label",
    "review_drafts",
    "review_items",
    "review_labels",
]

review_items = Table(
    "review_items",
    METADATA,
    Column("item_id", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("task_type", String(64), nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("version", Text, nullable=True),
    Column("source", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("proposal", Text, nullable=False),
    Column("used", Text, nullable=False),
    Column("call_digest", String(64), nullable=False),
    Column("content_digest", String(64), nullable=False),
    Column("confidence", Float, nullable=True),
    Column("error_cost_micros", BigInteger, nullable=True),
    Column("probability", Float, nullable=True),
    Column("created_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("pair_of", String(64), nullable=True),
    Column("only_for", String(64), nullable=True),
    Column("known", Text, nullable=True),
    Column("state", String(16), nullable=False),
    Column("holder", String(64), nullable=True),
    Column("held_until_us", BigInteger, nullable=True),
    Column("correction", Text, nullable=True),
    Column("note", Text, nullable=False),
    Column("decided_by", String(64), nullable=True),
    Column("decided_us", BigInteger, nullable=True),
    Column("salt", String(32), nullable=False, server_default=""),
    Column("conversation", String(64), nullable=True),
    Index(None, "agent", "state", "due_us"),
    Index(None, "content_digest"),
    Index(None, "trace_id"),
)
"""One row for each thing a person is asked; the id makes asking twice one row, of a held output its task and its call do."""

review_labels = Table(
    "review_labels",
    METADATA,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("item_id", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("reviewer", String(64), nullable=False),
    Column("answer", String(16), nullable=False),
    Column("correction", Text, nullable=True),
    Column("note", Text, nullable=False),
    Column("rubric", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("undone_us", BigInteger, nullable=True),
    Column("salt", String(32), nullable=False, server_default=""),
    Index(None, "item_id"),
    Index(None, "agent", "at_us"),
    Index(None, "reviewer", "at_us"),
    sqlite_autoincrement=True,
)
"""Every answer ever given; one that was taken back says when."""

review_drafts = Table(
    "review_drafts",
    METADATA,
    Column("item_id", String(64), primary_key=True),
    Column("reviewer", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)
"""What a person has typed about an item and not sent."""


def digest_of_erased(item_id: ColumnElement[str]) -> ColumnElement[str]:
    """Return the placeholder for the digests of an erased item; no other item has the same."""
    return func.substr(literal("erased ").concat(item_id), 1, 64)


def item_columns(item: ReviewItem) -> dict[str, Any]:
    """Return the row of a new item."""
    return {
        "item_id": item.item_id,
        "agent": item.agent,
        "task_type": item.task_type,
        "trace_id": item.trace_id,
        "version": item.version,
        "source": item.source.value,
        "why": item.why,
        "input": item.input,
        "proposal": item.proposal,
        "used": canonical_json(list(item.used)),
        "call_digest": item.call_digest,
        "content_digest": content_digest(item.task_type, item.input, item.proposal),
        "confidence": item.confidence,
        "error_cost_micros": None
        if item.error_cost is None
        else int(Decimal(str(item.error_cost)) * 1_000_000),
        "probability": item.probability,
        "created_us": to_micros(item.created_at),
        "due_us": to_micros(item.due_at),
        "pair_of": item.pair_of,
        "only_for": item.only_for,
        "known": item.known,
        "conversation": item.conversation,
        "state": ItemState.WAITING.value,
        "correction": None,
        "note": "",
        "decided_by": None,
        "decided_us": None,
        "salt": fresh_salt(),
    }


def read_item(row: Row[Any]) -> ItemRecord:
    """Return an item as it stands."""
    cost = row.error_cost_micros
    item = ReviewItem(
        item_id=row.item_id,
        agent=row.agent,
        task_type=row.task_type,
        trace_id=row.trace_id,
        version=row.version,
        source=ReviewSource(row.source),
        why=row.why,
        input=row.input,
        proposal=row.proposal,
        used=tuple(json.loads(row.used)),
        call_digest=row.call_digest,
        confidence=row.confidence,
        error_cost=None if cost is None else cost / 1_000_000,
        probability=row.probability,
        created_at=from_micros(row.created_us),
        due_at=from_micros(row.due_us),
        pair_of=row.pair_of,
        only_for=row.only_for,
        known=row.known,
        conversation=row.conversation,
    )
    return ItemRecord(
        item=item,
        state=ItemState(row.state),
        holder=row.holder,
        held_until=None if row.held_until_us is None else from_micros(row.held_until_us),
        correction=row.correction,
        note=row.note,
        decided_by=row.decided_by,
        decided_at=None if row.decided_us is None else from_micros(row.decided_us),
    )


def label_columns(label: Label) -> dict[str, Any]:
    """Return the row of an answer."""
    return {
        "item_id": label.item_id,
        "agent": label.agent,
        "reviewer": label.reviewer,
        "answer": label.answer.value,
        "correction": label.correction,
        "note": label.note,
        "rubric": label.rubric,
        "seconds": label.seconds,
        "at_us": to_micros(label.at),
        "salt": fresh_salt(),
    }


def read_label(row: Row[Any]) -> Label:
    """Return an answer."""
    return Label(
        item_id=row.item_id,
        agent=row.agent,
        reviewer=row.reviewer,
        answer=Answer(row.answer),
        correction=row.correction,
        note=row.note,
        rubric=row.rubric,
        seconds=row.seconds,
        at=from_micros(row.at_us),
    )
