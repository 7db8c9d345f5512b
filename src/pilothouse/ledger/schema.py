# SPDX-License-Identifier: Apache-2.0
"""The tables of the ledger, with only what SQLite and PostgreSQL both have.

Moments are whole microseconds since 1970 UTC and money is whole micro-dollars: both compare, index
and round-trip exactly on either database. A document is JSON text, because its bytes have a digest.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

__all__ = [
    "METADATA",
    "charters",
    "decisions",
    "evidence",
    "from_micros",
    "outcomes",
    "prices",
    "standing_evidence",
    "to_micros",
    "verdicts",
]

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts rows by itself only in a column of type INTEGER."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970 UTC of an aware moment.

    Example:
        >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC moment of whole microseconds since 1970.

    Example:
        >>> from_micros(1_000_000).isoformat()
        '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + micros * _MICROSECOND


charters = Table(
    "charters",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("accepted_us", BigInteger, nullable=False),
    Column("files", Text),
)
"""Every charter that ever came into force; the highest number of an agent is the one in force."""

evidence = Table(
    "evidence",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("slot", String(32), nullable=False, server_default=""),
    Column("about", String(32), nullable=False, server_default=""),
    Column("version", Text, nullable=False, server_default=""),
    Column("window_to_us", BigInteger, nullable=False, server_default="0"),
    Column("arrived", BigInteger, nullable=False, server_default="0"),
    Index(None, "agent", "recorded_us"),
    Index(None, "agent", "arrived"),
    Index(None, "agent", "kind", "recorded_us"),
    Index(None, "agent", "about", "window_to_us", "recorded_us"),
)
"""What was measured or signed; the digest makes equal content one row. The columns behind the document are made of the document
itself (`evidence_index.py`); `arrived` is the number, from 1 on, of the
entry of the audit log that names it, and only ever grows."""

standing_evidence = Table(
    "standing_evidence",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("about", String(32), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("slot", String(32), nullable=False),
    Column("version", Text, nullable=False),
    Column("window_to_us", BigInteger, nullable=False),
)
"""An index of the newest records about each thing; made of the records, and never the only place of anything."""

outcomes = Table(
    "outcomes",
    METADATA,
    Column("trace_id", String(32), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("task_type", String(64), nullable=False),
    Column("version_digest", Text, nullable=True),
    Column("task_start_ns", BigInteger, nullable=False),
    Column("claim", Text, nullable=True),
    Column("status", String(16), nullable=False),
    Column("found", Text, nullable=False),
    Column("critical", String(64), nullable=True),
    Column("verifier", Text, nullable=False),
    Column("verified_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("salt", String(32), nullable=False, server_default=""),
    Index(None, "agent", "task_start_ns"),
)
"""The current outcome of each task; only a pending one is ever replaced, or one about a claim that was corrected."""

verdicts = Table(
    "verdicts",
    METADATA,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("agent", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "agent", "at_us"),
    UniqueConstraint("agent", "digest"),
)
"""Frozen verdicts as canonical JSON; the digest is recomputed on every read."""

decisions = Table(
    "decisions",
    METADATA,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "agent", "sequence"),
    sqlite_autoincrement=True,
)
"""What people and the system decided, in order; rows are only ever added."""

prices = Table(
    "prices",
    METADATA,
    Column("provider", String(128), primary_key=True),
    Column("model", String(256), primary_key=True),
    Column("token_class", String(16), primary_key=True),
    Column("valid_from_us", BigInteger, primary_key=True, autoincrement=False),
    Column("valid_to_us", BigInteger, nullable=True),
    Column("micro_usd_per_million", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_date", String(10), nullable=False),
)
"""Prices of tokens; a model without a row has no price."""
