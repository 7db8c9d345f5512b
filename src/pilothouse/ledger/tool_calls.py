# SPDX-License-Identifier: Apache-2.0
"""Idempotency records of tool calls with an effect: one row each, durable before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import BigInteger, Column, Connection, Index, Row, String, Table, Text, insert, select, update

from pilothouse.errors import Conflict
from pilothouse.ledger.audit_subjects import seal_text, unseal_text
from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import METADATA, to_micros
from pilothouse.ports.tools import StoredCall

__all__ = ["SqlToolCalls", "erase_results", "tool_calls"]

tool_calls = Table(
    "tool_calls",
    METADATA,
    Column("call", String(64), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("args_digest", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("tool", String(160), nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", Text, nullable=True),
    Column("reserved_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("run", String(32), nullable=True),
    Index(None, "agent", "state", "changed_us"),
    Index(None, "run"),
)
"""`sent → done, failed or unknown` (`reserved` in rows of before); the result of a done call is kept for a repetition of it, encrypted under
the key of the person whose task it was. Calls of before `run` was kept have none, and are erased with their person."""

RESULT = "tool result"

RUNS_AT_ONCE = 500
"""Run ids of one statement; databases take a thousand or more."""


class SqlToolCalls:
    """`ports.IdempotencyStore` on the ledger.

    Args:
        database: The ledger.
        wrapper: What wraps the keys of persons, as in the audit log.
    """

    def __init__(self, database: Database, wrapper: AESGCM) -> None:
        self._database = database
        self._wrapper = wrapper

    def known(self, call: str) -> StoredCall | None:
        """Return the record of a call, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(tool_calls).where(tool_calls.c.call == call)).first()
            return None if row is None else self._stored(connection, row)

    def begin(
        self, *, call: str, key: str, args_digest: str, agent: str, run: str, tool: str, at: datetime
    ) -> None:
        """Record that a call is about to be sent: one commit, durable when it returns.

        Raises:
            Conflict: It is kept already.
        """
        moment = to_micros(at)
        with self._database.write() as connection:
            connection.execute(
                insert(tool_calls).values(
                    call=call,
                    key=key,
                    args_digest=args_digest,
                    agent=agent,
                    run=run,
                    tool=tool,
                    state="sent",
                    reserved_us=moment,
                    changed_us=moment,
                )
            )

    def step(
        self, call: str, *, before: str, after: str, result: str | None, at: datetime, person: str = "unknown"
    ) -> None:
        """Move a call to its next state.

        Raises:
            Conflict: It is not in the state `before` any more.
        """
        with self._database.write() as connection:
            kept = None if result is None else seal_text(connection, self._wrapper, person, RESULT, result)
            done = connection.execute(
                update(tool_calls)
                .where(tool_calls.c.call == call, tool_calls.c.state == before)
                .values(state=after, result=kept, changed_us=to_micros(at))
            )
        if done.rowcount != 1:
            raise Conflict(
                f"call {call[:12]} is not {before!r} any more",
                remedy="Somebody else made this call; ask for its result.",
                subject=call,
            )

    def _stored(self, connection: Connection, row: Row[Any]) -> StoredCall:
        kept = row.result
        return StoredCall(
            call=row.call,
            key=row.key,
            args_digest=row.args_digest,
            state=row.state,
            result=None if kept is None else unseal_text(connection, self._wrapper, RESULT, kept),
        )


def erase_results(database: Database, runs: Iterable[str]) -> int:
    """Erase the results of calls of some runs; that they were made stays recorded, so that none is made twice.

    Args:
        database: The ledger.
        runs: Run ids, which are trace ids.

    Returns:
        Results that were forgotten.
    """
    wanted, erased = list(dict.fromkeys(runs)), 0
    with database.write() as connection:
        for at in range(0, len(wanted), RUNS_AT_ONCE):
            erased += connection.execute(
                update(tool_calls)
                .where(tool_calls.c.run.in_(wanted[at : at + RUNS_AT_ONCE]), tool_calls.c.result.is_not(None))
                .values(result=None)
            ).rowcount
    if erased:
        database.forget_log()
    return erased
