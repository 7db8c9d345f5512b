# SPDX-License-Identifier: Apache-2.0
"""What the watch needs, and when a day is finished for which of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pilothouse.ports.feedback import FeedbackStore
from pilothouse.ports.review import ReviewQueue
from pilothouse.workflows.ground.control_room import ControlRoom
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.watch.rules import TRAFFIC, TRUTH

__all__ = ["ALERT_DAYS_MAX", "CLOSINGS", "LABELS", "LATE", "SAID_WITHIN", "WatchRoom"]

LABELS = "labels"
"""When a day is finished for quality by labels: everything that was drawn is answered, or its term is over."""

CLOSINGS = (TRAFFIC, TRUTH, LABELS)

LATE = timedelta(hours=1)
"""How long after midnight a day is counted: late spans have arrived by then, as for the stability clock."""

SAID_WITHIN = timedelta(days=1)
"""How long people may take to override or complain; what comes later stands in the review queue."""

ALERT_DAYS_MAX = 14
"""An alarm about an older day is history: nobody is called for it, and that is said (`watch_missed`)."""


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
