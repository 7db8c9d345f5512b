# SPDX-License-Identifier: Apache-2.0
"""Alarms that called nobody because their day was history when it was counted: what a watch that stood still must say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pilothouse.core.dates import calendar_day
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.watch.room import ALERT_DAYS_MAX
from pilothouse.workflows.watch.words import METRIC_WORDS

__all__ = ["MissedAlarm", "is_history", "missed_alarms", "missed_sentence"]

NAMED_MAX = 3
"""Alarms that the sentence names; the readings have them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedAlarm:
    """One alarm that called nobody.

    Attributes:
        day: Day of the tasks.
        counted_on: Day on which it was counted.
        detector: What alarmed.
        task_type: Task type, or empty for all.
    """

    day: date
    counted_on: date
    detector: str
    task_type: str


def is_history(reading: WatchReading) -> bool:
    """Whether a day was counted so late that nobody is called for it and no labels are bought.

    Args:
        reading: What a detector said of the day.
    """
    return (reading.at.date() - reading.day).days > ALERT_DAYS_MAX


def missed_alarms(readings: Sequence[WatchReading]) -> tuple[MissedAlarm, ...]:
    """Return the alarms among readings that called nobody, in their order.

    Args:
        readings: What detectors said.
    """
    return tuple(
        MissedAlarm(day=one.day, counted_on=one.at.date(), detector=one.detector, task_type=one.task_type)
        for one in readings
        if one.layer == "verdict" and is_history(one)
    )


def missed_sentence(missed: Sequence[MissedAlarm]) -> str:
    """Say that alarms called nobody, about which days and why; empty when there are none.

    Args:
        missed: The alarms.

    Example:
        >>> one = MissedAlarm(
        ...     day=date(2026, 11, 2), counted_on=date(2026, 11, 25), detector="completion", task_type="po"
        ... )
        >>> missed_sentence([one])
        '1 alarm called nobody: Completion of po on 2 Nov 2026. The watch counted the day on 25 Nov 2026, more than 14 days late.'
    """
    if not missed:
        return ""
    named = [f"{_words(one)} on {calendar_day(one.day)}" for one in missed[:NAMED_MAX]]
    more = len(missed) - len(named)
    counted = sorted({one.counted_on for one in missed})
    when = (
        f"on {calendar_day(counted[0])}"
        if len(counted) == 1
        else f"from {calendar_day(counted[0])} to {calendar_day(counted[-1])}"
    )
    return (
        f"{len(missed):,} alarm{'' if len(missed) == 1 else 's'} called nobody: {', '.join(named)}"
        f"{f' and {more:,} more' if more else ''}. The watch counted the day{'' if len(missed) == 1 else 's'} {when}, "
        f"more than {ALERT_DAYS_MAX} days late."
    )


def _words(one: MissedAlarm) -> str:
    words, _ = METRIC_WORDS.get(one.detector, (one.detector.replace("_", " ").capitalize(), False))
    return f"{words} of {one.task_type}" if one.task_type else words
