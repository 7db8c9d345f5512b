# SPDX-License-Identifier: Apache-2.0
"""What the watch needs, and when a day is finished for which of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.ports.feedback import FeedbackStore
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.watch.rules import TRAFFIC, TRUTH

__all__ = ["ALERT_DAYS_MAX", "CLOSINGS", "LABELS", "LATE", "SAID_WITHIN", "WatchRoom", "counted_after"]

LABELS = "labels"
"""When a day is finished for quality by labels: everything that was drawn is answered, or its term is over."""

CLOSINGS = (TRAFFIC, TRUTH, LABELS)

LATE = timedelta(hours=1)
"""How long after midnight a day is counted at least: late spans have arrived by then, as for the stability clock."""

LATE_MAX = timedelta(days=1)
"""How long it waits at most for tasks that are slow by the charter: an alarm must not come days late."""

SAID_WITHIN = timedelta(days=1)
"""How long people may take to override or complain; what comes later stands in the review queue."""

ALERT_DAYS_MAX = 14
"""An alarm about an older day is history: nobody is called for it, and that is said (`watch_missed`)."""


def counted_after(charter: Charter) -> timedelta:
    """Return how long after midnight a day of an agent is counted: twice what its slowest tasks may take, so that hardly one still runs.

    A task counts on the day on which it began and is there once it is over; the slow ones of an evening would be in no day.
    """
    ceilings = [known(terms.latency.p95_s) for terms in charter.task_types.values()]
    slowest_s = max((float(one) for one in ceilings if one is not None), default=0.0)
    return max(LATE, timedelta(seconds=min(2 * slowest_s, LATE_MAX.total_seconds())))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRoom:
    """What the watch needs.

    Attributes:
        room: Opened parts with incidents and pager.
        queue: Labels.
        said: What users said.
        directory: The charters, kept parsed.
    """

    room: ControlRoom
    queue: ReviewQueue
    said: FeedbackStore
    directory: Directory
