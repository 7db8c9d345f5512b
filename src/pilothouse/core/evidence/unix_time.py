# SPDX-License-Identifier: Apache-2.0
"""Conversions between moments, Unix nanoseconds and days, all UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

__all__ = ["midnight", "moment_of", "unix_ns"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ns(moment: datetime) -> int:
    """Return the Unix nanoseconds of a moment, exact to its microsecond.

    Example:
        >>> unix_ns(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins.

    Example:
        >>> midnight(date(2026, 11, 29)).isoformat()
        '2026-11-29T00:00:00+00:00'
    """
    return datetime.combine(day, time.min, tzinfo=UTC)


def moment_of(at_ns: int) -> datetime:
    """Return the moment of some Unix nanoseconds, to the microsecond, aware UTC.

    Args:
        at_ns: Unix nanoseconds UTC.

    Example:
        >>> moment_of(1_000_005_000).isoformat()
        '1970-01-01T00:00:01.000005+00:00'
    """
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)
