# SPDX-License-Identifier: Apache-2.0
"""Records of evidence, deduplicated by content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.errors import DigestMismatch, LimitExceeded
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.database import Repository
from pilothouse.ledger.evidence_document import parse_document
from pilothouse.ledger.evidence_index import index_of, put_in_place
from pilothouse.ledger.evidence_standing import standing_records
from pilothouse.ledger.schema import evidence, to_micros
from pilothouse.ports.ledger import EVIDENCE_MAX

__all__ = ["SqlEvidence"]

_DIGESTS_AT_ONCE = 500
"""Digests asked for in one query, well below SQLite's 32,766 variables."""

_DIGESTS_IN_RECORD = 50
"""Digests named by one record of the audit log: 3.4 KB."""


class SqlEvidence(Repository):
    """The part of `ports.Ledger` that keeps evidence."""

    def add_evidence(self, records: Sequence[Evidence]) -> int:
        """Store records, deduplicated by content, and return how many were new."""
        with self.database.write() as connection:
            return _add(connection, records)

    def extend_evidence(
        self,
        agent: str,
        *,
        since: datetime,
        kinds: Collection[str],
        following: Callable[[Sequence[Evidence]], Sequence[Evidence]],
    ) -> Sequence[Evidence]:
        """Store records derived from the current ones, atomically, and return them."""
        with self.database.write() as connection:
            records = following(_read(connection, agent, since, kinds))
            _add(connection, records)
        return records

    def evidence(
        self, agent: str, *, since: datetime | None = None, kinds: Collection[str] | None = None
    ) -> Sequence[Evidence]:
        """Return an agent's records, oldest first, optionally of some kinds or recorded since a moment."""
        with self.database.read() as connection:
            return _read(connection, agent, since, kinds)

    def standing_evidence(
        self,
        agent: str,
        *,
        at: datetime,
        version: str | None,
        decides: Callable[[Evidence], bool],
        kinds: Collection[str] | None = None,
    ) -> Sequence[Evidence]:
        """Return the records of an agent on which a verdict at a moment can rest, oldest first."""
        with self.database.read() as connection:
            found = standing_records(
                connection,
                agent,
                at,
                version=version,
                decides=decides,
                kinds=kinds,
                parse=lambda digest, text, written: _checked(agent, digest, text, written),
            )
        _refuse_more(agent, len(found))
        in_order = sorted(found.items(), key=lambda one: (one[1].recorded_at, one[0]))
        return tuple(record for _, record in in_order)


def _add(connection: Connection, records: Sequence[Evidence]) -> int:
    """Store the records that are new and return how many there were."""
    by_digest: dict[str, Evidence] = {}
    for record in records:
        by_digest.setdefault(evidence_digest(record), record)
    digests = list(by_digest)
    for start in range(0, len(digests), _DIGESTS_AT_ONCE):
        asked = digests[start : start + _DIGESTS_AT_ONCE]
        for stored in connection.scalars(select(evidence.c.digest).where(evidence.c.digest.in_(asked))):
            del by_digest[stored]
    arrived = {agent: _announce(connection, by_digest, agent) for agent in _agents(by_digest)}
    rows = [
        {
            "digest": digest,
            "agent": record.agent,
            "kind": record.kind,
            "recorded_us": to_micros(record.recorded_at),
            "document": record.model_dump_json(),
            "arrived": arrived[record.agent],
            **index_of(record),
        }
        for digest, record in by_digest.items()
    ]
    if rows:
        connection.execute(insert(evidence), rows)
        put_in_place(connection, rows)
    return len(rows)


def _agents(by_digest: Mapping[str, Evidence]) -> dict[str, None]:
    return dict.fromkeys(record.agent for record in by_digest.values())


def _announce(connection: Connection, by_digest: Mapping[str, Evidence], agent: str) -> int:
    """Enter the records of an agent into the audit log; return the number of the first entry, counted from 1."""
    own = [digest for digest, record in by_digest.items() if record.agent == agent]
    at = max(by_digest[digest].recorded_at for digest in own)
    return 1 + min(
        append_record(
            connection,
            kind="evidence.recorded",
            agent=agent,
            actor="pilothouse",
            at=at,
            document={"digests": own[start : start + _DIGESTS_IN_RECORD]},
        )
        for start in range(0, len(own), _DIGESTS_IN_RECORD)
    )


def _read(
    connection: Connection, agent: str, since: datetime | None, kinds: Collection[str] | None
) -> Sequence[Evidence]:
    """Return the records of an agent, oldest first, each checked against its digest."""
    columns = (evidence.c.digest, evidence.c.document, evidence.c.arrived)
    query = select(*columns).where(evidence.c.agent == agent)
    if kinds is not None:
        query = query.where(evidence.c.kind.in_(kinds))
    if since is not None:
        query = query.where(evidence.c.recorded_us >= to_micros(since))
    query = query.order_by(evidence.c.recorded_us, evidence.c.digest).limit(EVIDENCE_MAX + 1)
    found = tuple(_checked(agent, *row) for row in connection.execute(query))
    _refuse_more(agent, len(found))
    return found


def _checked(agent: str, digest: str, document: str, written: int) -> Evidence:
    record = parse_document(document, written)
    if evidence_digest(record) != digest:
        raise DigestMismatch(
            f"a record of evidence about {agent!r} was changed after it was stored",
            remedy="Restore the ledger from a backup; `pilothouse doctor` checks it.",
            subject=digest,
        )
    return record


def _refuse_more(agent: str, count: int) -> None:
    if count > EVIDENCE_MAX:
        raise LimitExceeded(
            f"more than {EVIDENCE_MAX:,} records of evidence about {agent!r} in one answer",
            remedy="Ask for a shorter time with `since`.",
            subject=agent,
        )
