# SPDX-License-Identifier: Apache-2.0
"""Incidents and their timelines, each change with its timers and pages in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from pilothouse.core.action.incident import Incident, IncidentEvent, IncidentState
from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.leases import apply_work, check_fence
from pilothouse.ledger.row_log import fresh_salt, log_rows, logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.incidents import EVENTS_MAX, INCIDENTS_MAX, IncidentChange
from pilothouse.ports.work import Lease

__all__ = ["SqlIncidents", "incident_events", "incidents"]

incidents = Table(
    "incidents",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("agent", String(64), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("drill", String(64), nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("salt", String(32), nullable=False, server_default=""),
    Index(None, "state"),
    Index(None, "agent", "number"),
)
"""Incidents as they stand; what lists filter by is a column, the rest is the document."""

incident_events = Table(
    "incident_events",
    METADATA,
    Column("incident", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("text", Text, nullable=False),
    Column("people", Text, nullable=True),
)
"""Timelines; rows are only ever added. Of lines of before nobody wrote down which people they name."""

_DONE = (IncidentState.RESOLVED.value, IncidentState.REVIEWED.value)


class SqlIncidents:
    """`ports.IncidentStore` on the ledger.

    Args:
        database: The ledger.
        now: The clock of timers; None for the machine's.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._now = now or (lambda: datetime.now(UTC))

    def open(
        self, find: Callable[[Sequence[Incident]], Incident | None], build: Callable[[int], IncidentChange]
    ) -> tuple[Incident, bool]:
        """Open an incident unless one that is active already covers it."""
        with self._database.write() as connection:
            rows = connection.execute(
                select(incidents).where(incidents.c.state.not_in(_DONE)).order_by(incidents.c.number)
            ).all()
            covered = find([_incident(row) for row in rows])
            if covered is not None:
                return covered, False
            number = int(connection.execute(select(func.max(incidents.c.number))).scalar() or 0) + 1
            change = build(number)
            row = {"number": number, "salt": fresh_salt(), **_columns(change.incident)}
            connection.execute(insert(incidents).values(**row))
            log_rows(connection, incidents.name, added=[row], at=self._now(), actor=_actor(change))
            self._write(connection, change, decided="incident.opened")
            return change.incident, True

    def change(self, change: IncidentChange, lease: Lease | None = None) -> Incident:
        """Apply a change and return the incident after it."""
        before = change.incident
        after = replace(before, version=before.version + 1)
        with self._database.write() as connection:
            check_fence(connection, lease)
            here = incidents.c.number == before.number
            with logged_change(connection, incidents, here, at=self._now(), actor=_actor(change)):
                done = connection.execute(
                    update(incidents)
                    .where(here, incidents.c.version == before.version)
                    .values(**_columns(after))
                )
            if done.rowcount != 1:
                raise Conflict(
                    f"{before.name} was changed by somebody else meanwhile; nothing was written",
                    remedy=f"Look again with `pilothouse incident show {before.number}`, then repeat.",
                    subject=before.name,
                )
            self._write(connection, change, decided=f"incident.{after.state.value}")
        return after

    def incident(self, number: int) -> Incident | None:
        """Return one incident, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(incidents).where(incidents.c.number == number)).first()
        return None if row is None else _incident(row)

    def incidents(
        self, *, agent: str | None = None, active: bool = False, below: int | None = None, limit: int = 100
    ) -> Sequence[Incident]:
        """Return incidents, newest first, at most `limit` (1..1,000), of those with a number below `below` where one is given."""
        if not 1 <= limit <= INCIDENTS_MAX:
            raise LimitExceeded(
                f"{limit:,} incidents asked for at once, 1 to {INCIDENTS_MAX:,} are given",
                remedy=f"Ask with a limit of at most {INCIDENTS_MAX}.",
                subject="incidents",
            )
        query = select(incidents).order_by(incidents.c.number.desc()).limit(limit)
        if agent is not None:
            query = query.where(incidents.c.agent == agent)
        if active:
            query = query.where(incidents.c.state.not_in(_DONE))
        if below is not None:
            query = query.where(incidents.c.number < below)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(_incident(row) for row in rows)

    def events(self, number: int) -> Sequence[IncidentEvent]:
        """Return the newest part of an incident's timeline, oldest first, and its first line in any case."""
        column = incident_events.c
        wanted = select(incident_events).where(column.incident == number)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(column.sequence.desc()).limit(EVENTS_MAX)).all()[::-1]
            if len(rows) == EVENTS_MAX:
                rows = [*connection.execute(wanted.order_by(column.sequence).limit(1)), *rows[1:]]
        return tuple(
            IncidentEvent(
                at=from_micros(row.at_us),
                kind=row.kind,
                actor=row.actor,
                text=row.text,
                people=tuple((start, person) for start, person in json.loads(row.people or "[]")),
            )
            for row in rows
        )

    def _write(self, connection: Connection, change: IncidentChange, *, decided: str) -> None:
        number = change.incident.number
        last = connection.execute(
            select(func.max(incident_events.c.sequence)).where(incident_events.c.incident == number)
        ).scalar()
        for offset, event in enumerate(change.events, start=int(last or 0) + 1):
            connection.execute(
                insert(incident_events).values(
                    incident=number,
                    sequence=offset,
                    at_us=to_micros(event.at),
                    kind=event.kind,
                    actor=event.actor,
                    text=event.text,
                    people=json.dumps(event.people),
                )
            )
            if event.kind == "state":
                append_decision(
                    connection,
                    kind=decided,
                    agent=change.incident.agent,
                    at=event.at,
                    actor=event.actor,
                    document={"incident": number, "text": event.text},
                )
        apply_work(connection, change.work, now=self._now())


def _actor(change: IncidentChange) -> str:
    return change.events[0].actor if change.events else "pilothouse"


_IN_DOCUMENT = (
    "group",
    "rule",
    "task_type",
    "title",
    "level",
    "round",
    "acknowledged_by",
    "runbook",
    "drill",
)


def _columns(incident: Incident) -> dict[str, Any]:
    document: dict[str, Any] = {name: getattr(incident, name) for name in _IN_DOCUMENT}
    document |= {
        "traces": list(incident.traces),
        "review": [list(pair) for pair in incident.review],
        "acknowledged_us": None if incident.acknowledged_at is None else to_micros(incident.acknowledged_at),
        "resolved_us": None if incident.resolved_at is None else to_micros(incident.resolved_at),
    }
    return {
        "agent": incident.agent,
        "severity": incident.severity,
        "state": incident.state.value,
        "drill": incident.drill,
        "opened_us": to_micros(incident.opened_at),
        "version": incident.version,
        "document": json.dumps(document, ensure_ascii=False, sort_keys=True),
    }


def _incident(row: Row[Any]) -> Incident:
    document = json.loads(row.document)
    acknowledged, resolved = document["acknowledged_us"], document["resolved_us"]
    return Incident(
        number=row.number,
        agent=row.agent,
        severity=row.severity,
        state=IncidentState(row.state),
        opened_at=from_micros(row.opened_us),
        version=row.version,
        traces=tuple(document["traces"]),
        review=tuple((name, text) for name, text in document["review"]),
        acknowledged_at=None if acknowledged is None else from_micros(acknowledged),
        resolved_at=None if resolved is None else from_micros(resolved),
        **{name: document[name] for name in _IN_DOCUMENT},
    )
