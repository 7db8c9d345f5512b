# SPDX-License-Identifier: Apache-2.0
"""Whose the conversations, files and the like are that providers keep, as rows: a digest of the id and the agent that used it first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, String, Table, func, insert, select

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import METADATA, to_micros
from pilothouse.ports.gateway import THINGS_MAX

__all__ = ["SqlThingOwners", "gateway_conversations"]

gateway_conversations = Table(
    "gateway_conversations",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("agent", String(64), nullable=False, index=True),
    Column("at_us", BigInteger, nullable=False),
)
"""By the SHA-256 of the id: it may be of any length, and who has it goes on with what was said."""


class SqlThingOwners:
    """`ports.ThingOwners` on the ledger.

    Args:
        database: The ledger.
        things_max: Things that may be one agent's.
    """

    def __init__(self, database: Database, *, things_max: int = THINGS_MAX) -> None:
        self._database = database
        self._things_max = things_max

    def owners(self, idents: Sequence[str]) -> Mapping[str, str]:
        """Return whose things are, by their ids, without those that nobody has used."""
        digests = {_digest(one): one for one in idents}
        table = gateway_conversations.c
        with self._database.read() as connection:
            rows = connection.execute(
                select(table.digest, table.agent).where(table.digest.in_(list(digests)))
            ).all()
        return {digests[digest]: agent for digest, agent in rows}

    def claim(self, ident: str, agent: str, at: datetime) -> str:
        """Make something an agent's where it is nobody's, and return whose it is."""
        digest = _digest(ident)
        with self._database.write() as connection:
            known = _owner(connection, digest)
            if known is not None:
                return known
            own = gateway_conversations.c.agent == agent
            if connection.execute(select(func.count()).where(own)).scalar_one() >= self._things_max:
                raise LimitExceeded(
                    f"{agent} has used {self._things_max:,} conversations and files, and no more are remembered as its own",
                    remedy="Let it keep its conversations itself, in `input`.",
                )
            row = {"digest": digest, "agent": agent, "at_us": to_micros(at)}
            connection.execute(insert(gateway_conversations).values(**row))
        return agent


def _owner(connection: Connection, digest: str) -> str | None:
    named = gateway_conversations.c.digest == digest
    return connection.execute(select(gateway_conversations.c.agent).where(named)).scalar_one_or_none()


def _digest(ident: str) -> str:
    return hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()
