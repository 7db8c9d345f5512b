# SPDX-License-Identifier: Apache-2.0
"""Frozen verdicts, byte for byte."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import insert, select

from pilothouse.errors import DigestMismatch
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import to_micros, verdicts

__all__ = ["SqlVerdicts"]


class SqlVerdicts(Repository):
    """The part of `ports.Ledger` that keeps verdicts."""

    def save_verdict(self, *, agent: str, at: datetime, status: str, document: str, digest: str) -> None:
        """Store a verdict (canonical JSON) under its digest; equal bytes change nothing.

        Raises:
            DigestMismatch: The digest is not that of the document.
        """
        _check(agent, document, digest)
        known = select(verdicts.c.sequence).where(verdicts.c.agent == agent, verdicts.c.digest == digest)
        with self.database.write() as connection:
            if connection.execute(known).first() is not None:
                return
            append_record(
                connection,
                kind="verdict.frozen",
                agent=agent,
                actor="pilothouse",
                at=at,
                document={"status": status, "digest": digest},
            )
            connection.execute(
                insert(verdicts).values(
                    agent=agent, at_us=to_micros(at), status=status, digest=digest, document=document
                )
            )

    def latest_verdict(self, agent: str, *, at: datetime | None = None) -> str | None:
        """Return the newest frozen verdict at or before a moment, checked against its digest, or None."""
        query = select(verdicts).where(verdicts.c.agent == agent)
        if at is not None:
            query = query.where(verdicts.c.at_us <= to_micros(at))
        newest = query.order_by(verdicts.c.at_us.desc(), verdicts.c.sequence.desc()).limit(1)
        with self.database.read() as connection:
            row = connection.execute(newest).first()
        if row is None:
            return None
        _check(agent, row.document, row.digest)
        return str(row.document)


def _check(agent: str, document: str, digest: str) -> None:
    if hashlib.sha256(document.encode()).hexdigest() != digest:
        raise DigestMismatch(
            f"a frozen verdict of {agent!r} does not have the digest it is kept under",
            remedy=f"Compute it again: `pilothouse verdict {agent}`.",
            subject=digest,
        )
