# SPDX-License-Identifier: Apache-2.0
"""The watch in the ledger: one row for the state of a detector, one for its reading of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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

from pilothouse.errors import Conflict
from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.watch import READINGS_MAX, WatchReading, WatchState, WatchStep

__all__ = ["SqlWatch", "watch_readings", "watch_states"]

watch_states = Table(
    "watch_states",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("task_type", String(64), primary_key=True),
    Column("detector", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
)
"""What each detector remembers; the version keeps two processes from counting one day twice."""

watch_readings = Table(
    "watch_readings",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("task_type", String(64), primary_key=True),
    Column("detector", String(32), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("layer", String(8), nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "settled"),
)
"""What each detector said of each day; only `settled` ever changes."""

UNSETTLED_MAX = 200
"""Consequences of one agent taken up in one look; the next look takes the rest. Of each: what cannot be settled at one must not
stand before what others have to say."""

_STATE, _READING = watch_states.c, watch_readings.c


class SqlWatch(Repository):
    """`ports.WatchStore` on the ledger."""

    def states(self, agent: str) -> Mapping[tuple[str, str], WatchState]:
        """Return the states of an agent by task type and detector."""
        with self.database.read() as connection:
            rows = connection.execute(select(watch_states).where(_STATE.agent == agent))
            return {
                (row.task_type, row.detector): WatchState(version=row.version, document=row.document)
                for row in rows
            }

    def whole(self) -> Mapping[str, Mapping[str, WatchState]]:
        """Return the states that belong to no single task type, by agent and detector."""
        found: dict[str, dict[str, WatchState]] = {}
        with self.database.read() as connection:
            for row in connection.execute(select(watch_states).where(_STATE.task_type == "")):
                state = WatchState(version=row.version, document=row.document)
                found.setdefault(row.agent, {})[row.detector] = state
        return found

    def advance(self, agent: str, steps: Sequence[WatchStep]) -> None:
        """Store steps with their readings, atomically."""
        with self.database.write() as connection:
            rows = connection.execute(
                select(_STATE.task_type, _STATE.detector, _STATE.version).where(_STATE.agent == agent)
            )
            versions = {(row.task_type, row.detector): row.version for row in rows}
            for step in steps:
                if versions.get((step.task_type, step.detector), 0) != step.before:
                    raise Conflict(
                        f"another process has counted a day of {agent} already",
                        remedy="Nothing to do; the next look goes on from there.",
                        subject=agent,
                    )
            fresh = [_state(agent, step) for step in steps if step.before == 0]
            if fresh:
                connection.execute(insert(watch_states), fresh)
            for step in steps:
                if step.before:
                    connection.execute(
                        update(watch_states)
                        .where(
                            _STATE.agent == agent,
                            _STATE.task_type == step.task_type,
                            _STATE.detector == step.detector,
                        )
                        .values(version=step.before + 1, document=step.document)
                    )
            said = [_reading_row(one) for step in steps for one in step.readings]
            if said:
                connection.execute(insert(watch_readings), said)

    def readings(
        self, agent: str, *, since: date, detector: str | None = None, limit: int = READINGS_MAX
    ) -> Sequence[WatchReading]:
        """Return the readings of days since `since`, oldest first; only the newest when there are too many."""
        wanted = select(watch_readings).where(_READING.agent == agent, _READING.day >= since.isoformat())
        if detector is not None:
            wanted = wanted.where(_READING.detector == detector)
        wanted = wanted.order_by(_READING.day.desc(), _READING.task_type, _READING.detector)
        with self.database.read() as connection:
            rows = connection.execute(wanted.limit(min(limit, READINGS_MAX))).all()
        return tuple(_reading(row) for row in reversed(rows))

    def unsettled(self) -> Sequence[WatchReading]:
        """Return warnings and verdicts whose consequences are still pending, oldest first."""
        order = (_READING.day, _READING.task_type, _READING.detector)
        place = func.row_number().over(partition_by=_READING.agent, order_by=order).label("place")
        found = select(watch_readings, place).where(_READING.settled.is_(False)).subquery()
        wanted = (
            select(found)
            .where(found.c.place <= UNSETTLED_MAX)
            .order_by(found.c.day, found.c.agent, found.c.task_type, found.c.detector)
        )
        with self.database.read() as connection:
            return tuple(_reading(row) for row in connection.execute(wanted))

    def settle(self, reading: WatchReading) -> None:
        """Mark a reading as settled: all its consequences are done."""
        with self.database.write() as connection:
            connection.execute(
                update(watch_readings)
                .where(
                    _READING.agent == reading.agent,
                    _READING.day == reading.day.isoformat(),
                    _READING.task_type == reading.task_type,
                    _READING.detector == reading.detector,
                )
                .values(settled=True)
            )


def _state(agent: str, step: WatchStep) -> dict[str, object]:
    return {
        "agent": agent,
        "task_type": step.task_type,
        "detector": step.detector,
        "version": 1,
        "document": step.document,
    }


def _reading_row(reading: WatchReading) -> dict[str, object]:
    return {
        "agent": reading.agent,
        "day": reading.day.isoformat(),
        "task_type": reading.task_type,
        "detector": reading.detector,
        "at_us": to_micros(reading.at),
        "layer": reading.layer,
        "settled": reading.settled,
        "document": reading.document,
    }


def _reading(row: Row[Any]) -> WatchReading:
    return WatchReading(
        agent=row.agent,
        task_type=row.task_type,
        detector=row.detector,
        day=date.fromisoformat(row.day),
        at=from_micros(row.at_us),
        layer=row.layer,
        settled=row.settled,
        document=row.document,
    )
