# SPDX-License-Identifier: Apache-2.0
"""Moments and durations as people read them: relative first, the absolute one beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pilothouse.core.dates import minute
from pilothouse.core.verdict.numbers import significant

__all__ = ["Moment", "age_text", "ago", "at_ns", "duration_text", "moment", "span_text"]

NS_PER_S = 1_000_000_000
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Moment(BaseModel):
    """A point in time.

    Attributes:
        at: The moment, aware UTC.
        shown: Relative to the page's `as_of`, for example `3 h ago`.
        absolute: Day and time in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    shown: str
    absolute: str


def duration_text(duration_s: float) -> str:
    """Write a duration in its largest two units.

    Example:
        >>> [duration_text(s) for s in (0.0421, 1.7, 75, 11_520, 273_600)]
        ['42 ms', '1.7 s', '1 min 15 s', '3 h 12 min', '3 d 4 h']
    """
    if duration_s < 0.9995:
        ms = duration_s * 1000
        return f"{significant(ms, 2) if ms < 100 else f'{ms:.0f}'} ms"
    if duration_s < 59.95:
        return f"{significant(duration_s, 3)} s"
    left = round(duration_s)
    parts: list[tuple[int, str]] = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def span_text(duration: timedelta) -> str:
    """Write an age or a time left in its largest unit.

    Example:
        >>> span_text(timedelta(hours=30)), span_text(timedelta(days=3, hours=4)), span_text(timedelta(seconds=20))
        ('30 h', '3 d', 'under a minute')
    """
    seconds = max(0.0, duration.total_seconds())
    if seconds < 60:
        return "under a minute"
    for unit, size, least in (("d", 86_400, 172_800), ("h", 3_600, 5_400), ("min", 60, 0)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}" if unit == "min" else f"{int(seconds // size)} {unit}"
    raise AssertionError  # pragma: no cover - minutes begin at zero


def ago(then: datetime, now: datetime) -> str:
    """Write a moment relative to another.

    Args:
        then: The moment, aware.
        now: What it is compared with, aware.

    Example:
        >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
        >>> ago(noon - timedelta(hours=3), noon), ago(noon + timedelta(days=4), noon), ago(noon, noon)
        ('3 h ago', 'in 4 d', 'just now')
    """
    if abs(now - then) < timedelta(minutes=1):
        return "just now"
    return f"{span_text(now - then)} ago" if then < now else f"in {span_text(then - now)}"


def age_text(age_days: float) -> str:
    """Write the age of evidence, by the days that have passed, as the moments beside it count them.

    Example:
        >>> age_text(0.3), age_text(1.8), age_text(45.7)
        ('today', '43 h old', '45 d old')
    """
    return "today" if age_days < 1 else f"{span_text(timedelta(days=age_days))} old"


def moment(then: datetime, now: datetime) -> Moment:
    """Return a moment with its two texts.

    Args:
        then: The moment, aware.
        now: The page's `as_of`, aware.
    """
    there = then.astimezone(UTC)
    return Moment(at=there, shown=ago(then, now), absolute=minute(there))


def at_ns(nanoseconds: int) -> datetime:
    """Return Unix nanoseconds as an aware moment, clamped to what a calendar holds.

    Example:
        >>> at_ns(1_700_000_000_000_000_000).isoformat()
        '2023-11-14T22:13:20+00:00'
    """
    seconds = min(max(nanoseconds / NS_PER_S, 0.0), 253_402_300_799.0)
    return datetime.fromtimestamp(seconds, UTC)
