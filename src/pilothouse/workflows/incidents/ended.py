# SPDX-License-Identifier: Apache-2.0
"""Whether a breach shows anything but what incidents had that somebody ended since.

A rate is proved over a window of days, so its breach lasts for days after its cause is gone. Whoever resolves the
incident meanwhile has seen those tasks; another incident over the same ones would call people and pause the agent again,
at each look, and a paused agent brings no task that could end it.
"""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.evidence.measurement import ITEMS_KEPT_MAX
from pilothouse.core.verdict.verdict import ItemVerdict
from pilothouse.ports.incidents import INCIDENTS_MAX
from pilothouse.ports.lake import TaskFilter
from pilothouse.workflows.ground.control_room import ControlRoom

__all__ = ["shows_nothing_new"]


def shows_nothing_new(room: ControlRoom, agent: str, item: ItemVerdict) -> bool:
    """Whether every task that makes a breach was one of an incident of the agent that is resolved.

    Only of rates, whose tasks can be named one by one. Where a breach has more tasks than are named, nothing is new only
    while the agent has done no task since.

    Args:
        room: Opened parts.
        agent: Agent id.
        item: What is breached.
    """
    if not item.items or item.unit != "rate" or item.value is None:
        return False
    ended: list[datetime] = []
    had: set[str] = set()
    for one in room.incidents.incidents(agent=agent, limit=INCIDENTS_MAX):
        if not one.is_active and not one.drill and one.resolved_at is not None:
            had.update(one.traces)
            ended.append(one.resolved_at)
    if not had.issuperset(item.items):
        return False
    marked = round(item.n * item.value)
    if len(item.items) < ITEMS_KEPT_MAX and len(item.items) in {marked, item.n - marked}:
        return True
    since = TaskFilter(agent=agent, from_ns=int(max(ended).timestamp() * 1e9))
    return not room.installation.lake.tasks(since, limit=1).tasks
