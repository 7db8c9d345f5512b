# SPDX-License-Identifier: Apache-2.0
"""Whose the answers are that providers keep, and their items, as rows: a digest of the id, the agent that was given it, and the day."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import METADATA
from pilothouse.ports.gateway import ANSWERS_A_DAY_MAX, ANSWERS_KEPT_DAYS

__all__ = ["SqlAnswerOwners", "gateway_answers"]

DIGEST_BYTES = 16
"""Of the SHA-256: among a hundred million ids two are equal once in 10^22 installations."""

AT_ONCE_MAX = 500
"""Ids that one statement looks for: databases take some thousand values."""

COUNTED_EVERY = 1_000
"""Writes between two counts of an agent's answers: each takes up to 3 ms, and a write comes with a call. What other processes add
meanwhile is not seen, so several may together remember some more."""

FORGOTTEN_AT_ONCE_MAX = 5_000
"""Old rows that one write takes away, so that no transaction is long; the next one takes more."""

gateway_answers = Table(
    "gateway_answers",
    METADATA,
    Column("digest", LargeBinary(DIGEST_BYTES), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("day", Integer, nullable=False),
    Index("ix_gateway_answers_day", "day", "agent"),
)
"""By a digest: who has the id can read what was said."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Answers of an agent's day, and how often that was asked since they were counted."""

    day: int
    answers: int
    asked: int = 0


class SqlAnswerOwners:
    """`ports.AnswerOwners` on the ledger.

    Args:
        database: The ledger.
        a_day_max: Answers of one agent and day that are remembered.
    """

    def __init__(self, database: Database, *, a_day_max: int = ANSWERS_A_DAY_MAX) -> None:
        self._database = database
        self._a_day_max = a_day_max
        self._counted: dict[str, _Counted] = {}

    def owners(self, idents: Sequence[str]) -> Mapping[str, str]:
        """Return whose answers are, by their ids, without those that nobody is known to have been given."""
        digests = {_digest(one): one for one in idents}
        with self._database.read() as connection:
            return {digests[digest]: agent for digest, agent in _known(connection, list(digests))}

    def claim(self, given: Sequence[tuple[str, str]], at: datetime) -> int:
        """Assign answers without an owner to their agents, delete old ones, and return how many exceeded the limit."""
        if not given:
            return 0
        day = at.toordinal()
        fresh: dict[bytes, str] = {}
        for ident, agent in given:
            fresh.setdefault(_digest(ident), agent)
        left_out = 0
        with self._database.write() as connection:
            for digest, _ in _known(connection, list(fresh)):
                del fresh[digest]
            rows = []
            for agent, digests in _by_agent(fresh).items():
                room = max(0, self._a_day_max - self._count(connection, agent, day))
                rows += [{"digest": digest, "agent": agent, "day": day} for digest in digests[:room]]
                left_out += len(digests[room:])
                self._counted[agent] = replace(
                    self._counted[agent], answers=self._counted[agent].answers + len(digests[:room])
                )
            if rows:
                connection.execute(insert(gateway_answers), rows)
        return left_out

    def _count(self, connection: Connection, agent: str, day: int) -> int:
        """Return how many answers of an agent and day are remembered: what it was, with what was added here since.

        Old ones are forgotten as often as it is counted anew.
        """
        known = self._counted.get(agent)
        if known is None or known.day != day or known.asked >= COUNTED_EVERY:
            here = (gateway_answers.c.day == day) & (gateway_answers.c.agent == agent)
            _forget(connection, day - ANSWERS_KEPT_DAYS)
            known = _Counted(day, connection.execute(select(func.count()).where(here)).scalar_one())
        self._counted[agent] = replace(known, asked=known.asked + 1)
        return known.answers


def _known(connection: Connection, digests: list[bytes]) -> list[tuple[bytes, str]]:
    found: list[tuple[bytes, str]] = []
    table = gateway_answers.c
    for begin in range(0, len(digests), AT_ONCE_MAX):
        asked = table.digest.in_(digests[begin : begin + AT_ONCE_MAX])
        rows = connection.execute(select(table.digest, table.agent).where(asked))
        found += [(bytes(digest), agent) for digest, agent in rows]
    return found


def _by_agent(fresh: dict[bytes, str]) -> dict[str, list[bytes]]:
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for digest, agent in fresh.items():
        found[agent].append(digest)
    return found


def _forget(connection: Connection, before: int) -> None:
    old = select(gateway_answers.c.digest).where(gateway_answers.c.day < before).limit(FORGOTTEN_AT_ONCE_MAX)
    connection.execute(delete(gateway_answers).where(gateway_answers.c.digest.in_(old)))


def _digest(ident: str) -> bytes:
    return hashlib.sha256(ident.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]
