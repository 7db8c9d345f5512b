# SPDX-License-Identifier: Apache-2.0
"""Gather what waits for people, over all agents at once (incidents, review queue, approvals → by agent)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from pilothouse.core.action.incident import Incident
from pilothouse.ports.approvals import CallsWaiting
from pilothouse.ports.incidents import INCIDENTS_MAX
from pilothouse.ports.review import QueueCount
from pilothouse.reports.waiting_work import WaitingWork
from pilothouse.workflows.ground.installation import Installation

__all__ = ["waiting_by_agent"]


def waiting_by_agent(
    installation: Installation, agents: Sequence[str], now: datetime
) -> Callable[[str], WaitingWork]:
    """Return a function that gives what waits about one agent; three questions to the ledger, however many agents.

    Args:
        installation: Ledger, incidents, review queue and calls that wait.
        agents: Agents with a charter in force.
        now: The moment, aware UTC.
    """
    incidents: dict[str, list[Incident]] = defaultdict(list)
    for incident in (
        installation.incidents.incidents(active=True, limit=INCIDENTS_MAX) if installation.incidents else ()
    ):
        incidents[incident.agent].append(incident)
    reviews: dict[str, list[QueueCount]] = defaultdict(list)
    for count in installation.reviews.counts(agents, now) if installation.reviews else ():
        reviews[count.agent].append(count)
    calls = {one.agent: one for one in installation.calls.counts(now)} if installation.calls else None
    has_incidents, has_reviews = installation.incidents is not None, installation.reviews is not None

    def of(agent: str) -> WaitingWork:
        return WaitingWork(
            incidents=tuple(incidents.get(agent, ())) if has_incidents else None,
            reviews=tuple(reviews.get(agent, ())) if has_reviews else None,
            calls=None if calls is None else calls.get(agent, CallsWaiting(agent=agent)),
        )

    return of
