# SPDX-License-Identifier: Apache-2.0
"""Whose the conversations are that providers keep, as rows: a digest of the id and the agent that used it first."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, String, Table, func, insert, select

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import METADATA, to_micros
from pilothouse.ports.gateway import CONVERSATIONS_MAX

__all__ = ["SqlConversationOwners", "gateway_conversations"]

gateway_conversations = Table(
    "gateway_conversations",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("agent", String(64), nullable=False, index=True),
    Column("at_us", BigInteger, nullable=False),
)
"""By the SHA-256 of the id: it may be of any length, and who has it goes on with what was said."""


class SqlConversationOwners:
    """`ports.ConversationOwners` on the ledger.

    Args:
        database: The ledger.
        conversations_max: Conversations that may be one agent's.
    """

    def __init__(self, database: Database, *, conversations_max: int = CONVERSATIONS_MAX) -> None:
        self._database = database
        self._conversations_max = conversations_max

    def owner(self, ident: str) -> str | None:
        """Return whose a conversation is, or None where nobody has used it."""
        with self._database.read() as connection:
            return _owner(connection, _digest(ident))

    def claim(self, ident: str, agent: str, at: datetime) -> str:
        """Make a conversation an agent's where it is nobody's, and return whose it is."""
        digest = _digest(ident)
        with self._database.write() as connection:
            known = _owner(connection, digest)
            if known is not None:
                return known
            own = gateway_conversations.c.agent == agent
            if connection.execute(select(func.count()).where(own)).scalar_one() >= self._conversations_max:
                raise LimitExceeded(
                    f"{agent} has used {self._conversations_max:,} conversations, and no more are remembered as its own",
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
