# SPDX-License-Identifier: Apache-2.0
"""On-call hours: when a number of working minutes has passed, across nights and changes of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

__all__ = ["ON_CALL", "OnCall", "due_after"]

DAYS_LOOKED_MAX = 800
"""How far ahead a due moment may lie: two years of working days, more than any charter can ask for."""


@dataclass(frozen=True, slots=True)
class OnCall:
    """When a page is answered.

    Attributes:
        days: Weekdays, Monday is 0; None for always.
        start: Local time at which the day begins.
        end: Local time at which it ends.
    """

    days: tuple[int, ...] | None
    start: time
    end: time


ON_CALL: dict[str, OnCall] = {
    "business_hours": OnCall((0, 1, 2, 3, 4), time(9), time(17)),
    "extended_hours": OnCall((0, 1, 2, 3, 4, 5), time(7), time(22)),
    "always": OnCall(None, time(0), time(0)),
}
"""What the words of `operations.on_call` mean, in the local time of whoever is called."""


def due_after(start: datetime, length: timedelta, hours: OnCall, zone: tzinfo) -> datetime:
    """Return the moment at which so much on-call time has passed.

    Time is counted in UTC between the local opening and closing moments, so a day on which the clocks change
    counts the hours that really passed, and nothing is due twice or never.

    Args:
        start: Since when, aware UTC.
        length: How much on-call time.
        hours: The hours.
        zone: Whose local time they are in.

    Returns:
        The moment, aware UTC; `start` itself for no time at all inside the hours.

    Example:
        >>> friday = datetime(2026, 11, 20, 16, 50, tzinfo=UTC)
        >>> due_after(friday, timedelta(minutes=15), ON_CALL["business_hours"], UTC).isoformat()
        '2026-11-23T09:05:00+00:00'
    """
    if hours.days is None:
        return start + length
    left = length
    moment = start
    for opens, closes in _windows(start, hours, zone):
        moment = max(opens, start)
        if moment + left <= closes:
            return moment + left
        left -= max(timedelta(0), closes - moment)
    return moment + left


def _windows(start: datetime, hours: OnCall, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield opening and closing moments in UTC, from the day of `start` on."""
    today = start.astimezone(zone).date()
    for number in range(DAYS_LOOKED_MAX):
        day = today + timedelta(days=number)
        if hours.days is None or day.weekday() in hours.days:
            opens = datetime.combine(day, hours.start, tzinfo=zone).astimezone(UTC)
            closes = datetime.combine(day, hours.end, tzinfo=zone).astimezone(UTC)
            if closes > start:
                yield opens, closes
