# SPDX-License-Identifier: Apache-2.0
"""Rows of the audit log: numbered without gaps, in the transaction of whatever they record."""

from __future__ import annotations

from collections.abc import Iterable
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
from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX, AUDIT_PAGE_MAX, AuditRecord

__all__ = [
    "RECORD_VERSION",
    "append_record",
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
    commitments: Iterable[dict[str, str]] = (),
) -> int:
    """Append one record within a transaction that writes, and return its position.

    Raises:
        LimitExceeded: The document is larger than `AUDIT_DOCUMENT_MAX` bytes.
    """
    text = canonical_json(document)
    if len(text.encode()) > AUDIT_DOCUMENT_MAX:
        raise LimitExceeded(
            f"a record of kind {kind!r} has {len(text.encode()):,} bytes, {AUDIT_DOCUMENT_MAX:,} are kept",
            remedy="Keep what it is about elsewhere and record its digest; look at `pilothouse audit verify`.",
            subject=agent,
        )
    taken = connection.execute(
        update(audit_head)
        .where(audit_head.c.id == 1)
        .values(size=audit_head.c.size + 1)
        .returning(audit_head.c.size)
    ).scalar()
    if taken is None:
        connection.execute(insert(audit_head).values(id=1, size=1))
        taken = 1
    position = int(taken) - 1
    at_us = to_micros(at)
    record = canonical_json(
        {
            "v": RECORD_VERSION,
            "position": position,
            "at_us": at_us,
            "kind": kind,
            "agent": agent,
            "actor": actor,
            "document": document,
            "commitments": list(commitments),
        }
    )
    connection.execute(
        insert(audit_records).values(position=position, agent=agent, kind=kind, at_us=at_us, record=record)
    )
    return position


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
    newest: bool = False,
) -> tuple[AuditRecord, ...]:
    """Return records from a position on, in order; the newest first when asked so."""
    query = select(audit_records).where(audit_records.c.position >= start)
    if agent is not None:
        query = query.where(audit_records.c.agent == agent)
    if kind is not None:
        query = query.where(audit_records.c.kind == kind)
    order = audit_records.c.position.desc() if newest else audit_records.c.position
    rows = connection.execute(query.order_by(order).limit(min(limit, AUDIT_PAGE_MAX)))
    return tuple(_record(row) for row in rows)


def stored_texts(connection: Connection, *, start: int = 0) -> Iterable[tuple[int, str]]:
    """Yield position and text of every record from a position on, in order."""
    query = select(audit_records.c.position, audit_records.c.record).where(audit_records.c.position >= start)
    for row in connection.execution_options(yield_per=5_000).execute(
        query.order_by(audit_records.c.position)
    ):
        yield int(row.position), row.record


def _record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(
        position=row.position, kind=row.kind, agent=row.agent, at=from_micros(row.at_us), text=row.record
    )
