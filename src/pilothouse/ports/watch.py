# SPDX-License-Identifier: Apache-2.0
"""The port of the watch: what each detector remembers, and what it said of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, runtime_checkable

__all__ = ["READINGS_MAX", "WatchReading", "WatchState", "WatchStep", "WatchStore"]

READINGS_MAX = 50_000
"""Readings in one answer: half a year of ten task types with two dozen detectors, and a second to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """The state of a detector between days.

    Attributes:
        version: Rises with every change; 0 stands for a detector that was never run.
        document: JSON text.
    """

    version: int
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReading:
    """A detector's reading of one day.

    Attributes:
        agent: Agent id.
        task_type: Task type, or empty for all.
        detector: Its name, for example `completion`.
        day: Day of the tasks, UTC.
        at: When it was said, aware UTC.
        layer: `quiet`, `warning` or `verdict`.
        settled: Whether what follows from it was done; a quiet day has nothing to settle.
        document: JSON text with the numbers.
    """

    agent: str
    task_type: str
    detector: str
    day: date
    at: datetime
    layer: str
    settled: bool
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStep:
    """One detector advances by some days.

    Attributes:
        task_type: Task type, or empty for all.
        detector: Its name.
        before: Version of the state that the step was computed from.
        document: The state after it.
        readings: What it said of those days.
    """

    task_type: str
    detector: str
    before: int
    document: str
    readings: tuple[WatchReading, ...] = ()


@runtime_checkable
class WatchStore(Protocol):
    """States and readings; every method is one transaction."""

    def states(self, agent: str) -> Mapping[tuple[str, str], WatchState]:
        """Return the states of an agent by task type and detector."""
        ...

    def whole(self) -> Mapping[str, Mapping[str, WatchState]]:
        """Return the states that belong to no single task type, by agent and detector: all that a quiet tick needs."""
        ...

    def advance(self, agent: str, steps: Sequence[WatchStep]) -> None:
        """Store steps with their readings, atomically.

        Raises:
            Conflict: Another process was there first; nothing was stored.
        """
        ...

    def readings(
        self, agent: str, *, since: date, detector: str | None = None, limit: int = READINGS_MAX
    ) -> Sequence[WatchReading]:
        """Return the readings of days since `since`, oldest first; only the newest when there are too many."""
        ...

    def unsettled(self) -> Sequence[WatchReading]:
        """Return warnings and verdicts whose consequences are still pending, oldest first, at most 200 of each agent."""
        ...

    def settle(self, reading: WatchReading) -> None:
        """Mark a reading as settled: all its consequences are done."""
        ...
