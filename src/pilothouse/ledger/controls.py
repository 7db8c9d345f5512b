# SPDX-License-Identifier: Apache-2.0
"""What is paused or rolled back: one row for each thing in force, and the decision in the same transaction."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Row, String, Table, Text, delete, insert, select

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ledger.database import Database
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.controls import ControlState, Pause, Rollback

__all__ = ["SqlControls", "controls"]

controls = Table(
    "controls",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("tool", String(256), primary_key=True),
    Column("to_version", Text, nullable=True),
    Column("from_version", Text, nullable=True),
    Column("reason", Text, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("at_us", BigInteger, nullable=False),
)
"""Pauses and rollbacks in force; the empty tool stands for the whole agent, which no key may leave out."""

_PAUSE, _ROLLBACK = "pause", "rollback"


class SqlControls:
    """`ports.ControlStore` on the ledger.

    Args:
        database: The ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> ControlState:
        """Return what is in force, read now."""
        with self._database.read() as connection:
            rows = connection.execute(select(controls)).all()
        return ControlState(
            pauses=MappingProxyType(
                {(row.agent, row.tool or None): _pause(row) for row in rows if row.kind == _PAUSE}
            ),
            rollbacks=MappingProxyType({row.agent: _rollback(row) for row in rows if row.kind == _ROLLBACK}),
        )

    def pause(self, pause: Pause) -> Pause:
        """Put a pause into force and return the one in force: an earlier one stays as it is."""
        with self._database.write() as connection:
            row = _in_force(connection, pause.agent, _PAUSE, pause.tool)
            if row is not None:
                return _pause(row)
            _insert(connection, pause, _PAUSE, tool=pause.tool)
            _record(
                connection,
                "agent.paused",
                pause.agent,
                at=pause.at,
                actor=pause.actor,
                reason=pause.reason,
                tool=pause.tool,
            )
        return pause

    def resume(self, agent: str, tool: str | None, *, reason: str, actor: str, at: datetime) -> Pause | None:
        """End a pause and return it, or None when nothing was paused."""
        with self._database.write() as connection:
            row = _remove(connection, agent, _PAUSE, tool)
            if row is None:
                return None
            _record(connection, "agent.resumed", agent, at=at, actor=actor, reason=reason, tool=tool)
        return _pause(row)

    def roll_back(self, rollback: Rollback) -> None:
        """Put a rollback into force in place of an earlier one."""
        with self._database.write() as connection:
            _remove(connection, rollback.agent, _ROLLBACK, None)
            _insert(
                connection,
                rollback,
                _ROLLBACK,
                to_version=rollback.to_version,
                from_version=rollback.from_version,
            )
            _record(
                connection,
                "agent.rolled_back",
                rollback.agent,
                at=rollback.at,
                actor=rollback.actor,
                reason=rollback.reason,
                to_version=rollback.to_version,
                from_version=rollback.from_version,
            )

    def end_rollback(self, agent: str, *, reason: str, actor: str, at: datetime) -> Rollback | None:
        """Let every version serve again and return the rollback that ended, or None."""
        with self._database.write() as connection:
            row = _remove(connection, agent, _ROLLBACK, None)
            if row is None:
                return None
            _record(
                connection,
                "agent.rollback_ended",
                agent,
                at=at,
                actor=actor,
                reason=reason,
                from_version=row.to_version,
            )
        return _rollback(row)


def _in_force(connection: Connection, agent: str, kind: str, tool: str | None) -> Row[Any] | None:
    return connection.execute(
        select(controls).where(
            controls.c.agent == agent, controls.c.kind == kind, controls.c.tool == (tool or "")
        )
    ).first()


def _insert(
    connection: Connection, control: Pause | Rollback, kind: str, *, tool: str | None = None, **columns: Any
) -> None:
    connection.execute(
        insert(controls).values(
            agent=control.agent,
            kind=kind,
            tool=tool or "",
            reason=control.reason,
            actor=control.actor,
            at_us=to_micros(control.at),
            **columns,
        )
    )


def _remove(connection: Connection, agent: str, kind: str, tool: str | None) -> Row[Any] | None:
    row = _in_force(connection, agent, kind, tool)
    if row is not None:
        connection.execute(
            delete(controls).where(
                controls.c.agent == agent, controls.c.kind == kind, controls.c.tool == (tool or "")
            )
        )
    return row


def _record(
    connection: Connection,
    kind: str,
    agent: str,
    *,
    at: datetime,
    actor: str,
    reason: str,
    tool: str | None = None,
    **more: str | None,
) -> None:
    document = canonical_json({"reason": reason, "tool": tool, **more})
    append_decision(connection, kind=kind, agent=agent, at=at, actor=actor, document=document)


def _pause(row: Row[Any]) -> Pause:
    return Pause(
        agent=row.agent,
        tool=row.tool or None,
        reason=row.reason,
        actor=row.actor,
        at=from_micros(row.at_us),
    )


def _rollback(row: Row[Any]) -> Rollback:
    return Rollback(
        agent=row.agent,
        to_version=row.to_version,
        from_version=row.from_version,
        reason=row.reason,
        actor=row.actor,
        at=from_micros(row.at_us),
    )
