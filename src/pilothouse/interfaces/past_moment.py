# SPDX-License-Identifier: Apache-2.0
"""A past moment as somebody types it: a time, or a day, which means its end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pilothouse.errors import UsageError

__all__ = ["past_moment"]

YEAR_MIN = 1970
"""Nothing is on record from before; windows that end there would begin before the first year."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def past_moment(text: str, now: datetime, *, option: str) -> datetime:
    """Return the moment that a text names, in UTC.

    Args:
        text: A time or a day in ISO 8601, UTC unless it says otherwise.
        now: The present; today means now.
        option: The option that it was given with, for errors.

    Raises:
        UsageError: It is no moment, or lies in the future.

    Example:
        >>> now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        >>> past_moment("2026-11-20", now, option="--as-of").isoformat()
        '2026-11-20T23:59:59.999999+00:00'
        >>> past_moment("2026-11-20T09:00", now, option="--as-of").isoformat()
        '2026-11-20T09:00:00+00:00'
    """
    moment = _utc(text)
    if moment is None or moment.year < YEAR_MIN:
        raise UsageError(
            f"{text!r} is no moment", remedy="Write it as 2026-11-20 or 2026-11-20T12:00.", subject=option
        )
    if _DAY.fullmatch(text):
        if moment.date() == now.date():
            return now
        moment += timedelta(days=1, microseconds=-1)
    if moment > now:
        raise UsageError(
            f"{text!r} lies in the future",
            remedy=f"Give a past moment, or leave {option} out.",
            subject=option,
        )
    return moment


def _utc(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first hours of year 1 elsewhere are before all years in UTC
        return None
