# SPDX-License-Identifier: Apache-2.0
"""Rows of the audit log: numbered without gaps, in the transaction of the change that they record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import LimitExceeded
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX, AUDIT_PAGE_MAX, AuditEntry, AuditRecord

__all__ = [
    "RECORD_VERSION",
    "append_record",
    "append_records",
    "audit_head",
    "audit_records",
    "audit_size",
    "read_records",
    "stored_texts",
]

RECORD_VERSION = 1
"""Version of the form of a record."""

audit_head = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
)
"""One row with the number of records: whoever appends takes it first, so that numbers have no gaps."""

audit_records = Table(
    "audit_records",
    METADATA,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("agent", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "agent", "kind", "position"),
)
"""The exact text of each leaf; the other columns only find it."""


def append_record(
    connection: Connection,
    *,
    kind: str,
    agent: str,
    actor: str,
    at: datetime,
    document: Any,
) -> int:
    """Append one record within a transaction that writes, and return its position.

    Raises:
        LimitExceeded: The document is larger than `AUDIT_DOCUMENT_MAX` bytes.
    """
    entry = AuditEntry(kind=kind, agent=agent, actor=actor, at=at, document=document)
    return append_records(connection, ((entry, ()),))


def append_records(
    connection: Connection, entries: Sequence[tuple[AuditEntry, Sequence[dict[str, str]]]]
) -> int:
    """Append records with their commitments within a transaction that writes; return the position of the first.

    Args:
        connection: The transaction.
        entries: At least one; payloads are the caller's.

    Raises:
        LimitExceeded: A document is larger than `AUDIT_DOCUMENT_MAX` bytes.
    """
    documents = [_document(entry) for entry, _ in entries]
    taken = connection.execute(
        update(audit_head)
        .where(audit_head.c.id == 1)
        .values(size=audit_head.c.size + len(entries))
        .returning(audit_head.c.size)
    ).scalar()
    if taken is None:
        taken = len(entries)
        connection.execute(insert(audit_head).values(id=1, size=taken))
    first = int(taken) - len(entries)
    rows = [
        {
            "position": position,
            "agent": entry.agent,
            "kind": entry.kind,
            "at_us": to_micros(entry.at),
            "record": _text(entry, position, document, commitments),
        }
        for position, ((entry, commitments), document) in enumerate(
            zip(entries, documents, strict=True), start=first
        )
    ]
    connection.execute(insert(audit_records), rows)
    return first


def _document(entry: AuditEntry) -> str:
    text = canonical_json(entry.document)
    if len(text.encode()) > AUDIT_DOCUMENT_MAX:
        raise LimitExceeded(
            f"a record of kind {entry.kind!r} has {len(text.encode()):,} bytes, {AUDIT_DOCUMENT_MAX:,} are kept",
            remedy="Keep what it is about elsewhere and record its digest; look at `pilothouse audit verify`.",
            subject=entry.agent,
        )
    return text


def _text(entry: AuditEntry, position: int, document: str, commitments: Sequence[dict[str, str]]) -> str:
    """Return the canonical text of a record; its document, the largest part, is serialized already."""
    head = canonical_json(
        {
            "actor": entry.actor,
            "agent": entry.agent,
            "at_us": to_micros(entry.at),
            "commitments": list(commitments),
        }
    )
    tail = canonical_json({"kind": entry.kind, "position": position, "v": RECORD_VERSION})
    # Keys stand in their order: actor, agent, at_us, commitments, document, kind, position, v.
    return f'{head[:-1]},"document":{document},{tail[1:]}'


def audit_size(connection: Connection) -> int:
    """Return how many records there are."""
    return int(connection.execute(select(audit_head.c.size)).scalar() or 0)


def read_records(
    connection: Connection,
    *,
    start: int = 0,
    limit: int = AUDIT_PAGE_MAX,
    agent: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    until: datetime | None = None,
    newest: bool = False,
) -> tuple[AuditRecord, ...]:
    """Return records between two positions in order, or newest first."""
    query = select(audit_records).where(audit_records.c.position >= start)
    if agent is not None:
        query = query.where(audit_records.c.agent == agent)
    if kind is not None:
        query = query.where(audit_records.c.kind == kind)
    if before is not None:
        query = query.where(audit_records.c.position < before)
    if until is not None:
        query = query.where(audit_records.c.at_us <= to_micros(until))
    order = audit_records.c.position.desc() if newest else audit_records.c.position
    rows = connection.execute(query.order_by(order).limit(min(limit, AUDIT_PAGE_MAX)))
    return tuple(_record(row) for row in rows)


def stored_texts(
    connection: Connection, *, start: int = 0, kind: str | None = None
) -> Iterable[tuple[int, str]]:
    """Yield position and text of every record from a position on, in order; of one kind, those that are about no agent."""
    query = select(audit_records.c.position, audit_records.c.record).where(audit_records.c.position >= start)
    if kind is not None:
        query = query.where(audit_records.c.agent == "", audit_records.c.kind == kind)
    # Of this statement alone: options of a connection stay, and a server refuses to give in parts what an UPDATE behind it changes.
    in_parts = {"yield_per": 5_000}
    for row in connection.execute(query.order_by(audit_records.c.position), execution_options=in_parts):
        yield int(row.position), row.record


def _record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(
        position=row.position, kind=row.kind, agent=row.agent, at=from_micros(row.at_us), text=row.record
    )
