# SPDX-License-Identifier: Apache-2.0
"""Pauses, rollbacks and faults of drills in force: a row for each, and its decision in the same transaction."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from pilothouse.core.dates import second
from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.row_log import logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.controls import ControlState, Pause, Rollback
from pilothouse.ports.planted import FAULT_LIFE_MAX, FaultKind, PlantedFault

__all__ = ["SqlControls", "controls", "planted_faults"]

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

planted_faults = Table(
    "planted_faults",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("integration", String(64), primary_key=True),
    Column("environment", String(64), nullable=True),
    Column("hang_ms", Integer, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
)
"""Faults of drills; a row whose time is over means nothing and goes with the next drill of its agent."""

_PAUSE, _ROLLBACK = "pause", "rollback"


class SqlControls(Repository):
    """`ports.ControlStore` on the ledger."""

    def read(self) -> ControlState:
        """Return what is in force, read from the ledger."""
        with self.database.read() as connection:
            rows = connection.execute(select(controls)).all()
            faults = connection.execute(select(planted_faults)).all()
        return ControlState(
            pauses=MappingProxyType(
                {(row.agent, row.tool or None): _pause(row) for row in rows if row.kind == _PAUSE}
            ),
            rollbacks=MappingProxyType({row.agent: _rollback(row) for row in rows if row.kind == _ROLLBACK}),
            planted=tuple(_fault(row) for row in faults),
        )

    def pause(self, pause: Pause) -> Pause:
        """Pause an agent or tool and return the pause in force; an earlier pause stays unchanged."""
        with self.database.write() as connection:
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

    def resume(
        self,
        agent: str,
        tool: str | None,
        *,
        reason: str,
        actor: str,
        at: datetime,
        since: datetime | None = None,
    ) -> Pause | None:
        """End a pause and return it, or None when nothing was paused; a pause that began at a moment other than `since` is a conflict."""
        with self.database.write() as connection:
            _need_same(connection, agent, _PAUSE, tool, since)
            row = _remove(connection, agent, _PAUSE, tool, at=at, actor=actor)
            if row is None:
                return None
            _record(connection, "agent.resumed", agent, at=at, actor=actor, reason=reason, tool=tool)
        return _pause(row)

    def roll_back(self, rollback: Rollback) -> None:
        """Roll an agent back, replacing an earlier rollback."""
        with self.database.write() as connection:
            _remove(connection, rollback.agent, _ROLLBACK, None, at=rollback.at, actor=rollback.actor)
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

    def end_rollback(
        self, agent: str, *, reason: str, actor: str, at: datetime, since: datetime | None = None
    ) -> Rollback | None:
        """End a rollback and return it, or None; a rollback that began at a moment other than `since` is a conflict."""
        with self.database.write() as connection:
            _need_same(connection, agent, _ROLLBACK, None, since)
            row = _remove(connection, agent, _ROLLBACK, None, at=at, actor=actor)
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

    def inject_fault(self, fault: PlantedFault) -> None:
        """Inject a fault into the calls of an agent, replacing an earlier one of its kind."""
        if fault.until - fault.at > FAULT_LIFE_MAX:
            raise LimitExceeded(
                f"a planted fault lives at most {FAULT_LIFE_MAX}",
                remedy="Plan a shorter drill: `pilothouse drill --help`.",
                subject=fault.agent,
            )
        ours = planted_faults.c.agent == fault.agent
        over = planted_faults.c.until_us <= to_micros(fault.at)
        here = _same(fault.agent, fault.kind, fault.integration)
        with (
            self.database.write() as connection,
            logged_change(connection, planted_faults, ours, at=fault.at, actor=fault.actor),
        ):
            connection.execute(delete(planted_faults).where((ours & over) | here))
            connection.execute(
                insert(planted_faults).values(
                    agent=fault.agent,
                    kind=fault.kind.value,
                    integration=fault.integration,
                    environment=fault.environment,
                    hang_ms=round(1_000 * fault.hang_s),
                    actor=fault.actor,
                    at_us=to_micros(fault.at),
                    until_us=to_micros(fault.until),
                )
            )
            _record(
                connection,
                "drill.planted",
                fault.agent,
                at=fault.at,
                actor=fault.actor,
                reason=f"{fault.kind.value} until {second(fault.until)}",
                integration=fault.integration,
                environment=fault.environment,
            )

    def clear_fault(self, agent: str, kind: FaultKind, integration: str, *, actor: str, at: datetime) -> bool:
        """End an injected fault; False when it had ended already."""
        with self.database.write() as connection:
            here = _same(agent, kind, integration)
            with logged_change(connection, planted_faults, here, at=at, actor=actor):
                done = connection.execute(delete(planted_faults).where(here))
            if not done.rowcount:
                return False
            _record(
                connection,
                "drill.uprooted",
                agent,
                at=at,
                actor=actor,
                reason=kind.value,
                integration=integration,
            )
        return True


def _same(agent: str, kind: FaultKind, integration: str) -> Any:
    return (
        (planted_faults.c.agent == agent)
        & (planted_faults.c.kind == kind.value)
        & (planted_faults.c.integration == integration)
    )


def _in_force(connection: Connection, agent: str, kind: str, tool: str | None) -> Row[Any] | None:
    return connection.execute(select(controls).where(_here(agent, kind, tool))).first()


def _insert(
    connection: Connection, control: Pause | Rollback, kind: str, *, tool: str | None = None, **columns: Any
) -> None:
    at, actor, here = control.at, control.actor, _here(control.agent, kind, tool)
    with logged_change(connection, controls, here, at=at, actor=actor):
        connection.execute(
            insert(controls).values(
                agent=control.agent,
                kind=kind,
                tool=tool or "",
                reason=control.reason,
                actor=actor,
                at_us=to_micros(at),
                **columns,
            )
        )


def _need_same(
    connection: Connection, agent: str, kind: str, tool: str | None, since: datetime | None
) -> None:
    """Raise when another stop is in force than the one shown: somebody stopped the agent again, for a reason not read yet.

    Raises:
        Conflict: Another pause or rollback is in force than the one since this moment.
    """
    row = None if since is None else _in_force(connection, agent, kind, tool)
    if since is not None and row is not None and row.at_us != to_micros(since):
        raise Conflict(
            f"another {kind} of {agent} is in force than the one that was shown",
            remedy="Open the page again and read its reason.",
            subject=agent,
        )


def _remove(
    connection: Connection, agent: str, kind: str, tool: str | None, *, at: datetime, actor: str
) -> Row[Any] | None:
    row = _in_force(connection, agent, kind, tool)
    if row is not None:
        here = _here(agent, kind, tool)
        with logged_change(connection, controls, here, at=at, actor=actor):
            connection.execute(delete(controls).where(here))
    return row


def _here(agent: str, kind: str, tool: str | None) -> ColumnElement[bool]:
    return (controls.c.agent == agent) & (controls.c.kind == kind) & (controls.c.tool == (tool or ""))


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
    document = {"reason": reason, "tool": tool, **more}
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


def _fault(row: Row[Any]) -> PlantedFault:
    return PlantedFault(
        agent=row.agent,
        kind=FaultKind(row.kind),
        integration=row.integration,
        environment=row.environment,
        hang_s=row.hang_ms / 1_000,
        actor=row.actor,
        at=from_micros(row.at_us),
        until=from_micros(row.until_us),
    )
