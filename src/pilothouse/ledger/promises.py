# SPDX-License-Identifier: Apache-2.0
"""Promises of later answers, as rows: a promise and its charge are added and removed in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.gateway import add_to_day
from pilothouse.ledger.schema import METADATA
from pilothouse.ports.gateway import PROMISES_MAX, Promise, Spent

__all__ = ["SqlPromises", "gateway_promises"]

OVERDUE_AT_ONCE_MAX = 1_000
"""Promises that one sweep ends, so that no transaction is long; the next one takes the rest."""

gateway_promises = Table(
    "gateway_promises",
    METADATA,
    Column("answer_id", String(128), primary_key=True),
    Column("agent", String(64), primary_key=True),
    Column("key", String(16), nullable=False),
    Column("run", String(32), nullable=False),
    Column("call_id", String(16), nullable=False),
    Column("identity", String(16), nullable=False),
    Column("parent", String(16), nullable=True),
    Column("launch", String(64), nullable=True),
    Column("asked", Text, nullable=False),
    Column("provider", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("fallback", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("is_stream", Boolean, nullable=False),
    Column("began_ns", BigInteger, nullable=False, index=True),
    Column("version", Text, nullable=True),
    Column("charter", Text, nullable=True),
    Column("task_type", Text, nullable=True),
    Column("day", String(10), nullable=False),
    Column("usd_pico", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)
"""By the id of the answer: a fetch names nothing else."""

_NAMES = tuple(each.name for each in fields(Promise))


class SqlPromises:
    """`ports.Promises` on the ledger.

    Args:
        database: The ledger.
        promises_max: Answers that one agent may wait for at once.
    """

    def __init__(self, database: Database, *, promises_max: int = PROMISES_MAX) -> None:
        self._database = database
        self._promises_max = promises_max

    def keep(self, promise: Promise) -> Promise | None:
        """Store a promise and add its charge to its day; return the one that it replaces."""
        with self._database.write() as connection:
            before = _take(connection, promise)
            standing = connection.execute(
                select(func.count()).where(gateway_promises.c.agent == promise.agent)
            ).scalar_one()
            if standing >= self._promises_max:
                raise LimitExceeded(
                    f"{promise.agent} waits for {standing:,} answers that come later, and for no more",
                    remedy="Fetch them, or ask without `background`.",
                )
            row = {**asdict(promise), "day": promise.day.isoformat()}
            connection.execute(insert(gateway_promises).values(**row))
            add_to_day(connection, promise.day, promise.agent, _charge(promise))
        return before

    def find(self, answer_id: str) -> Sequence[Promise]:
        """Return the promises of an id, of whichever agents."""
        with self._database.read() as connection:
            found = connection.execute(
                select(gateway_promises).where(gateway_promises.c.answer_id == answer_id)
            ).mappings()
            return tuple(map(_promise, found))

    def end(self, promise: Promise, used: Spent | None) -> bool:
        """Remove a promise and replace its charge by what its call used; return whether it still existed."""
        with self._database.write() as connection:
            stood = _take(connection, promise, call_id=promise.call_id)
            if stood is None:
                return False
            if used is not None:
                charged = _charge(stood)
                more = Spent(
                    usd_pico=used.usd_pico - charged.usd_pico,
                    tokens=used.tokens - charged.tokens,
                    calls=used.calls - charged.calls,
                    estimated=used.estimated - charged.estimated,
                )
                add_to_day(connection, stood.day, stood.agent, more)
        return True

    def take_overdue(self, before_ns: int) -> Sequence[Promise]:
        """Remove and return the promises of calls that began before a moment; their charges stay."""
        late = gateway_promises.c.began_ns < before_ns
        with self._database.read() as connection:
            if connection.execute(select(gateway_promises.c.run).where(late).limit(1)).first() is None:
                return ()
        with self._database.write() as connection:
            found = connection.execute(
                select(gateway_promises)
                .where(late)
                .order_by(gateway_promises.c.began_ns)
                .limit(OVERDUE_AT_ONCE_MAX)
            ).mappings()
            listed = [_promise(row) for row in found]
            taken = (_take(connection, one, call_id=one.call_id) for one in listed)
            return tuple(one for one in taken if one is not None)


def _take(connection: Connection, like: Promise, *, call_id: str | None = None) -> Promise | None:
    """Take the row of an agent and an id away, and return it: of two who take it, one gets it."""
    here = (gateway_promises.c.answer_id == like.answer_id) & (gateway_promises.c.agent == like.agent)
    if call_id is not None:
        here &= gateway_promises.c.call_id == call_id
    row = (
        connection.execute(delete(gateway_promises).where(here).returning(gateway_promises))
        .mappings()
        .first()
    )
    return None if row is None else _promise(row)


def _promise(row: RowMapping) -> Promise:
    said: dict[str, Any] = {name: row[name] for name in _NAMES}
    return Promise(**{**said, "day": date.fromisoformat(row["day"])})


def _charge(promise: Promise) -> Spent:
    return Spent(usd_pico=promise.usd_pico, tokens=promise.tokens, calls=1, estimated=1)
