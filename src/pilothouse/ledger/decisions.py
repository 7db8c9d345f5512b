# SPDX-License-Identifier: Apache-2.0
"""The record of what was decided: rows are added and read, never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.schema import decisions, from_micros, to_micros
from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX
from pilothouse.ports.ledger import DECISIONS_MAX, Decision

__all__ = ["append_decision", "document_in_record", "read_decisions", "refuse_later"]


def append_decision(
    connection: Connection, *, kind: str, agent: str, at: datetime, actor: str, document: str
) -> int:
    """Append one decision, with its record in the audit log, and return its sequence number."""
    append_record(
        connection, kind=kind, agent=agent, actor=actor, at=at, document=document_in_record(document)
    )
    done = connection.execute(
        insert(decisions)
        .values(kind=kind, agent=agent, at_us=to_micros(at), actor=actor, document=document)
        .returning(decisions.c.sequence)
    )
    return int(done.scalar_one())


def document_in_record(document: str) -> object:
    """Return a document as it is recorded: a long one by its digest, since the row beside it has the text.

    Args:
        document: JSON text.

    Raises:
        ValueError: It is none.
    """
    if len(document.encode()) <= AUDIT_DOCUMENT_MAX:
        return json.loads(document)
    return {"sha256": hashlib.sha256(document.encode()).hexdigest()}


def refuse_later(connection: Connection, kind: str, agent: str, after: int) -> None:
    """Refuse to rest on what was read when somebody has decided something of the same kind since.

    Args:
        connection: A transaction that writes, so that nobody adds one before it ends.
        kind: What kind of decision it is.
        agent: Whom it is about.
        after: Sequence of the newest one that was read.

    Raises:
        Conflict: There is a newer one.
    """
    if any(one.sequence > after for one in read_decisions(connection, agent, kind, 1, None)):
        raise Conflict(
            f"another {kind} of {agent!r} was recorded meanwhile",
            remedy="Look at what stands now, and decide again.",
            subject=agent,
        )


def read_decisions(
    connection: Connection, agent: str, kind: str | None, limit: int, before: int | None
) -> Sequence[Decision]:
    """Return decisions about an agent, newest first, of sequences below `before`."""
    if not 1 <= limit <= DECISIONS_MAX:
        raise LimitExceeded(
            f"{limit:,} decisions asked for at once, 1 to {DECISIONS_MAX:,} are given",
            remedy=f"Ask with a limit of at most {DECISIONS_MAX}.",
            subject=agent,
        )
    query = select(decisions).where(decisions.c.agent == agent)
    if kind is not None:
        query = query.where(decisions.c.kind == kind)
    if before is not None:
        query = query.where(decisions.c.sequence < before)
    rows = connection.execute(query.order_by(decisions.c.sequence.desc()).limit(limit))
    return tuple(
        Decision(
            sequence=row.sequence,
            kind=row.kind,
            agent=row.agent,
            at=from_micros(row.at_us),
            actor=row.actor,
            document=row.document,
        )
        for row in rows
    )
