# SPDX-License-Identifier: Apache-2.0
"""How many requirements have which status, as a page and a terminal show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.view_models import Frozen, StatusMark, mark_of

__all__ = ["StatusCount", "count_statuses", "in_words"]


class StatusCount(Frozen):
    """How many requirements have one status."""

    mark: StatusMark
    shown: str


def in_words(counts: Iterable[StatusCount]) -> str:
    """Write counts by status as one line.

    Example:
        >>> in_words([StatusCount(mark=mark_of(Status.BREACHED), shown="2")])
        '2 breached'
    """
    return ", ".join(f"{count.shown} {_phrase(count)}" for count in counts)


def _phrase(count: StatusCount) -> str:
    if count.mark.status is Status.NO_EVIDENCE:
        return "without evidence"
    if count.mark.status is Status.HOLDS:
        return "holding" if count.shown != "1" else "holds"
    return count.mark.word.lower()


def count_statuses(statuses: Sequence[Status]) -> tuple[StatusCount, ...]:
    """Return how many of some statuses there are, worst first; those that do not occur are left out.

    Args:
        statuses: One for each requirement.

    Example:
        >>> in_words(count_statuses([Status.HOLDS, Status.BREACHED, Status.HOLDS]))
        '1 breached, 2 holding'
    """
    return tuple(
        StatusCount(mark=mark_of(status), shown=f"{statuses.count(status):,}")
        for status in Status
        if status in statuses
    )
