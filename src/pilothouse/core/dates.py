# SPDX-License-Identifier: Apache-2.0
"""The one way in which days and moments are written for people: the day first, the month in letters, UTC said.

What is typed, parsed or sorted (options, queries, files, JSON) stays ISO 8601.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["calendar_day", "day", "minute", "second"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not those of the locale, in which a text would differ between two machines."""


def calendar_day(there: date) -> str:
    """Write a day of a calendar.

    Args:
        there: The day; of a moment, `day` writes it.

    Example:
        >>> calendar_day(date(2032, 12, 1))
        '1 Dec 2032'
    """
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year}"


def day(moment: datetime) -> str:
    """Write a moment as a day in UTC.

    Example:
        >>> day(datetime(2026, 11, 3, 9, tzinfo=UTC))
        '3 Nov 2026'
    """
    return calendar_day(moment.astimezone(UTC).date())


def minute(moment: datetime) -> str:
    """Write a moment to the minute.

    Example:
        >>> minute(datetime(2026, 11, 3, 9, 5, tzinfo=UTC))
        '3 Nov 2026, 09:05 UTC'
    """
    return f"{day(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def second(moment: datetime) -> str:
    """Write a moment to the second, where people compare what follows closely.

    Example:
        >>> second(datetime(2026, 11, 3, 9, 5, 7, tzinfo=UTC))
        '3 Nov 2026, 09:05:07 UTC'
    """
    return f"{day(moment)}, {moment.astimezone(UTC):%H:%M:%S} UTC"
