# SPDX-License-Identifier: Apache-2.0
"""Durations, dates, rates, money and ids as a charter writes them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "ID",
    "Count",
    "Day",
    "Duration",
    "Id",
    "Later",
    "Money",
    "MonthWindow",
    "Number",
    "Rate",
    "Text",
    "as_text",
    "format_duration",
    "parse_duration",
]

SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
"""Seconds in each unit; a year is 365 days, because retention is counted in days."""

DURATION_DIGITS_MAX = 6
"""999,999 years do not fit a timedelta, but nobody means more than six digits of any unit."""

DURATION = re.compile(rf"([1-9][0-9]{{0,{DURATION_DIGITS_MAX - 1}}})([smhdwy])")
DURATION_MAX = timedelta(days=100 * 365)
"""A hundred years: longer is a slip of the pen."""

MONTH_WINDOW = r"^[0-9]{4}-(0[1-9]|1[0-2])\.\.[0-9]{4}-(0[1-9]|1[0-2])$"
ID = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
TEXT_MAX = 2_000
"""Characters of one text: a charter is read by people."""


def parse_duration(text: str) -> timedelta:
    """Read a duration of one whole number and one unit.

    Args:
        text: For example `15m`; units s, m, h, d, w and y (365 days).

    Returns:
        The duration, above zero and at most a hundred years.

    Raises:
        ValueError: It is no such text.

    Example:
        >>> parse_duration("6w").days
        42
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration")
    seconds = int(match[1]) * SECONDS_OF_UNIT[match[2]]
    if seconds > DURATION_MAX.total_seconds():
        raise ValueError(f"{text!r} is longer than a hundred years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration in the largest unit up to days that divides it: one text for each length.

    Example:
        >>> format_duration(timedelta(days=90)), format_duration(timedelta(minutes=15))
        ('90d', '15m')
    """
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % SECONDS_OF_UNIT[unit] == 0)
    return f"{seconds // SECONDS_OF_UNIT[unit]}{unit}"


def _read_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value)
    except (TypeError, ValueError):
        raise PydanticCustomError(
            "bad_unit", "duration", {"example": "15m, 4h, 30d or 6w; the shortest is 1s"}
        ) from None


def as_text(value: Any) -> Any:
    """Return a bare whole number as text where the charter expects text; leave every other value unchanged.

    Example:
        >>> as_text(429), as_text("0042"), as_text(True)
        ('429', '0042', True)
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _read_day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("bad_type", "date", {"example": "2026-06-01"}) from None


def _check_rate(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise PydanticCustomError("bad_unit", "rate from 0 to 1", {"example": "0.05 for 5 percent"})
    return value


def _check_money(value: float) -> float:
    if value < 0:
        raise PydanticCustomError("bad_unit", "amount of money", {"example": "0.45, in `currency`"})
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["15m", "4h", "30d"]}),
]
"""`15m`, `4h`, `30d`, `6w` or `7y`."""

Day = Annotated[date, BeforeValidator(_read_day)]
"""A calendar date, ISO 8601, UTC."""

Number = Annotated[float, Field(allow_inf_nan=False)]
"""Any finite number."""

Rate = Annotated[
    float, AfterValidator(_check_rate), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})
]
"""A rate or a share in [0, 1]."""

Money = Annotated[float, AfterValidator(_check_money), WithJsonSchema({"type": "number", "minimum": 0})]
"""An amount in the charter's currency, 0 or more."""

Count = Annotated[int, Field(ge=0)]
"""A whole number, 0 or more."""

Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TEXT_MAX, strip_whitespace=True),
    BeforeValidator(as_text),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": TEXT_MAX}),
]
"""One non-empty text; a bare number such as the failure mode 429 is one too."""

Later = Annotated[Text | None, Field(exclude_if=lambda text: text is None)]
"""A text that came into the form later: where it is absent, digests stay those from before."""

Id = Annotated[str, StringConstraints(pattern=ID)]
"""A lower-case id of up to 64 characters."""

MonthWindow = Annotated[str, StringConstraints(pattern=MONTH_WINDOW)]
"""Two months with both ends included, for example `2026-02..2026-04`."""
