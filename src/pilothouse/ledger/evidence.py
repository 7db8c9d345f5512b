# SPDX-License-Identifier: Apache-2.0
"""Records of evidence, each content once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.errors import DigestMismatch, LimitExceeded
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.schema import evidence, to_micros
from pilothouse.ports.ledger import EVIDENCE_MAX

__all__ = ["add_evidence", "read_evidence"]

_DIGESTS_AT_ONCE = 500
"""Digests asked for in one query, well below SQLite's 32,766 variables."""

_DIGESTS_IN_RECORD = 50
"""Digests named by one record of the audit log: 3.4 KB."""


def add_evidence(connection: Connection, records: Sequence[Evidence]) -> int:
    """Store the records that are not there yet and return how many those were."""
    by_digest: dict[str, Evidence] = {}
    for record in records:
        by_digest.setdefault(evidence_digest(record), record)
    digests = list(by_digest)
    for start in range(0, len(digests), _DIGESTS_AT_ONCE):
        asked = digests[start : start + _DIGESTS_AT_ONCE]
        for stored in connection.scalars(select(evidence.c.digest).where(evidence.c.digest.in_(asked))):
            del by_digest[stored]
    rows = [
        {
            "digest": digest,
            "agent": record.agent,
            "kind": record.kind,
            "recorded_us": to_micros(record.recorded_at),
            "document": record.model_dump_json(),
        }
        for digest, record in by_digest.items()
    ]
    if rows:
        connection.execute(insert(evidence), rows)
    for agent in dict.fromkeys(record.agent for record in by_digest.values()):
        own = [digest for digest, record in by_digest.items() if record.agent == agent]
        at = max(record.recorded_at for record in by_digest.values() if record.agent == agent)
        for start in range(0, len(own), _DIGESTS_IN_RECORD):
            append_record(
                connection,
                kind="evidence.recorded",
                agent=agent,
                actor="pilothouse",
                at=at,
                document={"digests": own[start : start + _DIGESTS_IN_RECORD]},
            )
    return len(rows)


def read_evidence(connection: Connection, agent: str, since: datetime | None) -> Sequence[Evidence]:
    """Return the records of an agent, oldest first, each checked against its digest."""
    query = select(evidence).where(evidence.c.agent == agent)
    if since is not None:
        query = query.where(evidence.c.recorded_us >= to_micros(since))
    query = query.order_by(evidence.c.recorded_us, evidence.c.digest).limit(EVIDENCE_MAX + 1)
    records = []
    for row in connection.execute(query):
        record = Evidence.model_validate_json(row.document)
        if evidence_digest(record) != row.digest:
            raise DigestMismatch(
                f"a record of evidence about {agent!r} was changed after it was stored",
                remedy="Restore the ledger from a backup; `pilothouse doctor` checks it.",
                subject=row.digest,
            )
        records.append(record)
    if len(records) > EVIDENCE_MAX:
        raise LimitExceeded(
            f"more than {EVIDENCE_MAX:,} records of evidence about {agent!r} in one answer",
            remedy="Ask for a shorter time with `since`.",
            subject=agent,
        )
    return tuple(records)
