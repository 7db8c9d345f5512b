# SPDX-License-Identifier: Apache-2.0
"""`ports.Dockets` on the ledger: one row for each agent, and the numbers by which new evidence is seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import BigInteger, Column, String, Table, Text, bindparam, delete, func, insert, select

from pilothouse.ledger.database import Database
from pilothouse.ledger.docket_document import docket_text, parse_docket
from pilothouse.ledger.schema import METADATA, evidence, from_micros, to_micros
from pilothouse.ports.dockets import Arrivals, KeptDocket

__all__ = ["SqlDockets", "dockets"]

dockets = Table(
    "dockets",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("form", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("arrived", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
)
"""Items as they were decided last; the rows can be deleted at any time."""


class SqlDockets:
    """Dockets of one ledger; safe to share between threads and between processes.

    Args:
        database: The ledger.
        decider: Gives the digest of the code that decides.
    """

    def __init__(self, database: Database, decider: Callable[[], str]) -> None:
        self._database = database
        self._decider = decider

    @property
    def decider(self) -> str:
        """Digest of the code that decides."""
        return self._decider()

    def docket(self, agent: str) -> KeptDocket | None:
        """Return the stored docket of an agent, or None."""
        with self._database.read() as connection:
            row = connection.execute(_DOCKET, {"agent": agent}).first()
        if row is None:
            return None
        return parse_docket(row.document, form=row.form, at=from_micros(row.at_us), arrived=row.arrived)

    def keep_docket(self, agent: str, kept: KeptDocket) -> None:
        """Store a docket, replacing the earlier one."""
        row = {
            "agent": agent,
            "form": kept.form,
            "at_us": to_micros(kept.at),
            "arrived": kept.arrived,
            "document": docket_text(kept),
        }
        with self._database.write() as connection:
            connection.execute(delete(dockets).where(dockets.c.agent == agent))
            connection.execute(insert(dockets), row)

    def arrivals(self, agent: str, *, after: int, at: datetime) -> Arrivals:
        """Return the evidence about an agent that arrived after a sequence number, as of a moment."""
        asked = {"agent": agent, "after": after}
        with self._database.read() as connection:
            newest, last_us = connection.execute(_NEWEST, asked).one()
            kinds = frozenset(connection.scalars(_CAME, asked))
        return Arrivals(newest=newest or 0, kinds=kinds, is_past=(last_us or 0) > to_micros(at))


_DOCKET = select(dockets).where(dockets.c.agent == bindparam("agent"))

_MINE = evidence.c.agent == bindparam("agent")

_NEWEST = select(
    select(func.max(evidence.c.arrived)).where(_MINE).scalar_subquery(),
    select(func.max(evidence.c.recorded_us)).where(_MINE).scalar_subquery(),
)
"""Two answers in one question: each is one step into an index."""

_CAME = select(evidence.c.kind).where(_MINE, evidence.c.arrived > bindparam("after")).distinct()
