# SPDX-License-Identifier: Apache-2.0
"""Records of evidence, each content once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.standing import Headed, standing
from pilothouse.errors import DigestMismatch, LimitExceeded
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.schema import evidence, to_micros
from pilothouse.ports.ledger import EVIDENCE_MAX

__all__ = ["add_evidence", "read_evidence", "read_standing"]

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
    return _checked(agent, ((row.digest, row.document) for row in connection.execute(query)))


class _Head(msgspec.Struct):
    """What tells whether a record stands, read without the rest of it; equal texts are equal scopes and bindings."""

    window_to: datetime
    recorded_at: datetime
    basis: str = "measured"
    signer: str | None = None
    scope: msgspec.Raw = msgspec.Raw(b"")
    binds: msgspec.Raw = msgspec.Raw(b"")


_read_head = msgspec.json.Decoder(_Head).decode


def read_standing(connection: Connection, agent: str, at: datetime) -> Sequence[Evidence]:
    """Return the records of an agent that a verdict at a moment can rest on, each checked against its digest.

    A year of facts is thousands of records of which some hundred stand; the others are not read beyond their head.
    """
    query = select(evidence.c.digest, evidence.c.kind, evidence.c.document)
    query = query.where(evidence.c.agent == agent, evidence.c.recorded_us <= to_micros(at))
    rows = connection.execute(query.order_by(evidence.c.recorded_us, evidence.c.digest))
    return _checked(agent, standing((_headed(*row) for row in rows), at))


def _headed(digest: str, kind: str, document: str) -> Headed[tuple[str, str]]:
    head = _read_head(document)
    return Headed(
        kind=kind,
        about=(bytes(head.scope), bytes(head.binds), head.basis, head.signer),
        basis=head.basis,
        window_to=head.window_to,
        recorded_at=head.recorded_at,
        record=(digest, document),
    )


def _checked(agent: str, stored: Iterable[tuple[str, str]]) -> Sequence[Evidence]:
    records = []
    for digest, document in stored:
        record = Evidence.model_validate_json(document)
        if evidence_digest(record) != digest:
            raise DigestMismatch(
                f"a record of evidence about {agent!r} was changed after it was stored",
                remedy="Restore the ledger from a backup; `pilothouse doctor` checks it.",
                subject=digest,
            )
        records.append(record)
    if len(records) > EVIDENCE_MAX:
        raise LimitExceeded(
            f"more than {EVIDENCE_MAX:,} records of evidence about {agent!r} in one answer",
            remedy="Ask for a shorter time with `since`.",
            subject=agent,
        )
    return tuple(records)
