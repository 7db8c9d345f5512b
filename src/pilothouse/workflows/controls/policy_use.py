# SPDX-License-Identifier: Apache-2.0
"""Which permissions of a charter nobody used for a month, as far back as decisions were looked through."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.workflows.ground.boundary_room import BoundaryRoom

__all__ = ["DECIDED", "PAGES_MAX", "USED_WITHIN", "UnusedPermissions", "unused_permissions"]

DECIDED = "call.decided"
USED_WITHIN = timedelta(days=30)
"""A permission that nobody used for a month is a candidate for removal."""

PAGES_MAX = 30
"""Pages of decisions that are looked through: 10,000 calls a day for the whole month. An agent with more is judged by its
newest decisions, and it is said since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedPermissions:
    """Permissions without a call that was allowed.

    Attributes:
        permissions: Tool and task type, in the charter's order.
        since: Since when nobody used them; aware UTC.
        decisions: Decisions that were looked through; without any, nothing is known about use.
    """

    permissions: tuple[tuple[str, str], ...]
    since: datetime
    decisions: int


def unused_permissions(room: BoundaryRoom, charter: Charter, now: datetime) -> UnusedPermissions:
    """Look through the newest decisions about an agent until each permission was used, or the month is over."""
    waiting = {
        (name, task_type): None
        for name, tool in (known(charter.tools) or {}).items()
        for task_type in known(tool.task_types) or ()
    }
    month, decisions, before = now - USED_WITHIN, 0, None
    oldest = now
    for _ in range(PAGES_MAX):
        page = room.log.search(agent=charter.agent, kind=DECIDED, limit=room.searched_max, before=before)
        for record in page:
            if record.at <= month or not waiting:
                return UnusedPermissions(permissions=tuple(waiting), since=month, decisions=decisions)
            decisions += 1
            document = json.loads(record.text)["document"]
            if document["decision"] == "allow":
                waiting.pop((document["tool"], document["task_type"]), None)
        if len(page) < room.searched_max:
            return UnusedPermissions(permissions=tuple(waiting), since=month, decisions=decisions)
        oldest, before = page[-1].at, page[-1].position
    return UnusedPermissions(permissions=tuple(waiting), since=oldest, decisions=decisions)
