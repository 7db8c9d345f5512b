# SPDX-License-Identifier: Apache-2.0
"""Convert single values as sent to column values: cut, bounded, or None for empty ones."""

from __future__ import annotations

from typing import Any

import msgspec

from pilothouse.lake import limits
from pilothouse.lake.columns import TIME_FUTURE, TIME_INVERTED, TIME_MISSING, TIME_OLD
from pilothouse.lake.payload import json_text

__all__ = [
    "DAY_NS",
    "claim_text",
    "confidence_of",
    "dropped_count",
    "event_time_ns",
    "first_chunk_ns",
    "number_of",
    "optional_text",
    "plain_json",
    "server_text",
    "short_text",
    "times_of",
    "without_nul",
]

DAY_NS = 86_400 * 1_000_000_000

DROPPED_MAX = (1 << 31) - 1
"""The largest number of dropped items that the column holds."""

_encode = msgspec.json.Encoder().encode


def plain_json(value: Any) -> str:
    """Return a value as JSON in the order it was sent."""
    return _encode(value).decode()


def optional_text(value: Any) -> str | None:
    """Return the text of a short column, cut; None for an empty one."""
    if value is None or value == "":
        return None
    text = value if value.__class__ is str else json_text(value)
    return without_nul(text[: limits.TEXT_CHARS_MAX])


def without_nul(text: str) -> str:
    """Return a text with each NUL replaced: names are stored in ledgers, and PostgreSQL accepts no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text


def claim_text(value: Any) -> str | None:
    """Return the claim of a task as JSON text, with NULs escaped as JSON does."""
    return None if value is None else json_text(value).replace("\0", "\\u0000")[: limits.VALUE_CHARS_MAX]


def short_text(value: str | None) -> str | None:
    """Return a text that is at most as long as a short column allows."""
    return value if value is None or len(value) <= limits.TEXT_CHARS_MAX else value[: limits.TEXT_CHARS_MAX]


def server_text(address: str | None, port: str | None) -> str | None:
    """Return `host:port`, or the host alone when no port was sent."""
    if not address:
        return None
    return short_text(f"{address}:{port}" if port else address)


def times_of(
    sent_start: int, sent_end: int, received_ns: int
) -> tuple[int, int | None, int | None, int, int]:
    """Return start, end, duration, flags and day number of a span."""
    if (
        received_ns - limits.CLOCK_OLD_NS_MAX
        <= sent_start
        <= sent_end
        <= received_ns + limits.CLOCK_FUTURE_NS_MAX
    ):
        return sent_start, sent_end, sent_end - sent_start, 0, sent_start // DAY_NS
    flags = 0
    start = sent_start
    if not start:
        start = sent_end or received_ns
        flags = TIME_MISSING
    end: int | None = sent_end or None
    duration: int | None = None
    if end is None:
        flags |= TIME_MISSING
    elif end < start:
        flags |= TIME_INVERTED
    elif sent_start:
        duration = end - start
    day_ns = start
    if start > received_ns + limits.CLOCK_FUTURE_NS_MAX:
        flags |= TIME_FUTURE
        day_ns = received_ns
    elif start < received_ns - limits.CLOCK_OLD_NS_MAX:
        flags |= TIME_OLD
    return start, end, duration, flags, day_ns // DAY_NS


def event_time_ns(sent: Any) -> int:
    """Return the time of an event; 0 for an invalid one, because the span is good without it."""
    try:
        nanoseconds = int(sent)
    except ValueError:
        return 0
    return nanoseconds if 0 <= nanoseconds <= limits.TIME_NS_MAX else 0


def dropped_count(sent: int) -> int:
    """Return the count that an SDK reports as dropped, within the range of the column."""
    return min(max(0, sent), DROPPED_MAX)


def number_of(value: Any) -> float | None:
    """Return a finite number, or None."""
    if value.__class__ is bool or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found - found == 0 else None


def confidence_of(value: Any) -> float | None:
    """Return a share of 0..1, or None."""
    share = number_of(value)
    return share if share is not None and 0 <= share <= 1 else None


def first_chunk_ns(value: Any) -> int | None:
    """Return seconds as nanoseconds, or None."""
    seconds = number_of(value)
    return round(seconds * 1e9) if seconds is not None and 0 <= seconds < 1e6 else None
