# SPDX-License-Identifier: Apache-2.0
"""The reviewer minutes that a charter needs when every rate is at its accepted limit."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.tasks import TaskType

__all__ = ["NEED_PATHS", "review_minutes"]

NEED_PATHS = (
    "target_volume.per_day",
    "task_types.*.share",
    "task_types.*.escalation.max",
    "task_types.*.routing.audit_share",
)
"""What the need is computed from, besides the reviewers themselves."""


def review_minutes(charter: Charter) -> Mapping[str, float] | None:
    """Return the minutes that reviews need in a day, by task type; None while volume or minutes are open.

    Args:
        charter: The charter in force. What a task type leaves open is not counted.
    """
    per_day, each = known(charter.target_volume.per_day), known(charter.reviewers.minutes_per_item)
    if per_day is None or each is None:
        return None
    return {name: per_day * _reviewed_share(terms) * each for name, terms in charter.task_types.items()}


def _reviewed_share(terms: TaskType) -> float:
    """Return the share of tasks that reach a reviewer when every rate is at its accepted limit."""
    share, escalated = known(terms.share) or 0.0, known(terms.escalation.max) or 0.0
    audited = known(terms.routing.audit_share) or 0.0
    return share * min(1.0, escalated + audited * (1.0 - escalated))
