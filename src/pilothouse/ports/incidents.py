# SPDX-License-Identifier: Apache-2.0
"""The port of incidents: each change, its timeline, its pages and its clocks are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pilothouse.core.action.incident import Incident, IncidentEvent
from pilothouse.ports.work import Lease, WorkChange

__all__ = ["EVENTS_MAX", "INCIDENTS_MAX", "IncidentChange", "IncidentStore"]

INCIDENTS_MAX = 1_000
"""Incidents in one answer; a page shows fifty."""

EVENTS_MAX = 1_000
"""Lines of one timeline; a repeated alert adds one an hour at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """The changes that one decision makes to one incident.

    Attributes:
        incident: As it shall stand; its version is the one it was decided on.
        events: Lines for the timeline.
        work: Timers, pages and other jobs that go with it.
    """

    incident: Incident
    events: tuple[IncidentEvent, ...] = ()
    work: WorkChange = field(default_factory=WorkChange)


@runtime_checkable
class IncidentStore(Protocol):
    """Incidents and their timelines; durable when a method returns."""

    def open(
        self, find: Callable[[Sequence[Incident]], Incident | None], build: Callable[[int], IncidentChange]
    ) -> tuple[Incident, bool]:
        """Open an incident unless one that is active already covers it.

        Args:
            find: Chooses the one that covers it among those that are active, or None.
            build: Makes the first state for a number.

        Returns:
            The incident, and whether it is new.
        """
        ...

    def change(self, change: IncidentChange, lease: Lease | None = None) -> Incident:
        """Apply a change and return the incident after it.

        Raises:
            Conflict: The incident was changed meanwhile, the lease is lost, or the timer was fired.
        """
        ...

    def incident(self, number: int) -> Incident | None:
        """Return one incident, or None."""
        ...

    def incidents(
        self, *, agent: str | None = None, active: bool = False, below: int | None = None, limit: int = 100
    ) -> Sequence[Incident]:
        """Return incidents, newest first, at most `limit` (1..1,000), of those with a number below `below` where one is given."""
        ...

    def events(self, number: int) -> Sequence[IncidentEvent]:
        """Return the timeline of an incident, oldest first."""
        ...
