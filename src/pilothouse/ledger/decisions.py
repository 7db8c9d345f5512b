# SPDX-License-Identifier: Apache-2.0
"""The append-only record of decisions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from pilothouse.core.charter.digest import canonical_json
from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import decisions, from_micros, to_micros
from pilothouse.ports.audit import AUDIT_DOCUMENT_MAX
from pilothouse.ports.ledger import DECISIONS_MAX, Decision

__all__ = ["SqlDecisions", "append_decision", "document_in_record"]


class SqlDecisions(Repository):
    """The part of `ports.Ledger` that keeps decisions."""

    def record(
        self, *, kind: str, agent: str, at: datetime, actor: str, document: str, after: int | None = None
    ) -> int:
        """Append one decision (JSON text) and return its sequence number; a newer one of its kind than `after` is a conflict."""
        newest = select(func.max(decisions.c.sequence)).where(
            decisions.c.agent == agent, decisions.c.kind == kind
        )
        with self.database.write() as connection:
            if after is not None and (connection.scalar(newest) or 0) > after:
                raise Conflict(
                    f"another {kind} of {agent!r} was recorded meanwhile",
                    remedy="Look at what stands now, and decide again.",
                    subject=agent,
                )
            return _append(connection, kind=kind, agent=agent, at=at, actor=actor, document=document)

    def decisions(
        self, agent: str, *, kind: str | None = None, limit: int = 100, before: int | None = None
    ) -> Sequence[Decision]:
        """Return decisions about an agent, newest first, at most `limit` (1..1,000), of sequences below `before`."""
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
        with self.database.read() as connection:
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


def append_decision(
    connection: Connection,
    *,
    kind: str,
    agent: str,
    at: datetime,
    actor: str,
    document: Mapping[str, object],
) -> int:
    """Append one decision, with its record in the audit log, and return its sequence number."""
    text = canonical_json(dict(document))
    return _append(connection, kind=kind, agent=agent, at=at, actor=actor, document=text)


def _append(connection: Connection, *, kind: str, agent: str, at: datetime, actor: str, document: str) -> int:
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
    """Return a document as the audit log records it: a long one by its digest, because the row holds the text.

    Raises:
        ValueError: It is none.
    """
    if len(document.encode()) <= AUDIT_DOCUMENT_MAX:
        return json.loads(document)
    return {"sha256": hashlib.sha256(document.encode()).hexdigest()}
