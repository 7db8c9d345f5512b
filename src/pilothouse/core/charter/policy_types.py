# SPDX-License-Identifier: Apache-2.0
"""The types that arguments of a tool policy can have, and whether a value has the form of one."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

__all__ = [
    "KNOWN_TYPES",
    "NUMERIC",
    "scaled",
    "text_fits",
    "type_name",
    "type_parameter",
    "unscaled",
    "value_fits",
]

TYPE = re.compile(r"([a-z_]+)(?:\((.{0,200})\))?")
TEXT_ARGUMENT_MAX = 10_000
"""Characters of an argument whose policy names no `max`."""

AMOUNT_MAX = 2**62
"""Largest scaled amount: the engine counts in 64 bits, and a sum of two must fit as well."""

DIGITS_MAX = 20
"""Digits before the point from which a number is larger than any scaled amount."""

NUMERIC = frozenset({"amount", "number", "int"})

UNITS = {"amount": 100, "number": 1_000_000, "int": 1}
"""Whole units in one: amounts count in hundredths, other numbers in millionths."""

PATTERNS = {
    "email": re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\.[^@\s.]{2,}"),
    "iban": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}"),
    "url_host": re.compile(r"(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,63}(?::[0-9]{1,5})?"),
    "url": re.compile(r"https?://[^\s]{1,2000}"),
    "id": re.compile(r"[^\s]{1,200}"),
}
KNOWN_TYPES = frozenset({*PATTERNS, *NUMERIC, "date", "datetime", "bool", "enum", "name", "text"})


@lru_cache(maxsize=1_024)
def type_name(written: str) -> str | None:
    """Return the name of an argument type as written, for example `amount` of `amount(EUR)`.

    Returns:
        A known name, or None.

    Example:
        >>> type_name("amount(EUR)"), type_name("blob")
        ('amount', None)
    """
    match = TYPE.fullmatch(written)
    return match[1] if match and match[1] in KNOWN_TYPES else None


def type_parameter(written: str) -> str | None:
    """Return the parameter of a type, for example the currency or the registry.

    Example:
        >>> type_parameter("name(payees)"), type_parameter("email")
        ('payees', None)
    """
    match = TYPE.fullmatch(written)
    return match[2] if match else None


def scaled(written: str, value: Decimal, *, rounding: str = ROUND_HALF_EVEN) -> int:
    """Return a number as whole units of its type, at most `AMOUNT_MAX` either way.

    Args:
        written: The type as written.
        value: A finite number.
        rounding: Rounding of `decimal`, for what is finer than a unit.

    Example:
        >>> scaled("amount(EUR)", Decimal("12.5")), scaled("int", Decimal(3))
        (1250, 3)
    """
    unit = UNITS.get(type_name(written) or "", UNITS["number"])
    if value.adjusted() >= DIGITS_MAX:  # `1e999999` is a short text and a number of a million digits
        return -AMOUNT_MAX if value < 0 else AMOUNT_MAX
    whole = int((value * unit).to_integral_value(rounding=rounding))
    return max(-AMOUNT_MAX, min(AMOUNT_MAX, whole))


def unscaled(written: str, whole: int) -> float:
    """Return the number that whole units of a type stand for.

    Example:
        >>> unscaled("amount(EUR)", 1250)
        12.5
    """
    return whole / UNITS.get(type_name(written) or "", UNITS["number"])


def text_fits(value: str, longest: float | None) -> bool:
    """Return whether a text is within the length of its policy."""
    return len(value) <= (TEXT_ARGUMENT_MAX if longest is None else longest)


def value_fits(kind: str, value: object, values: Collection[str] | None) -> bool:
    """Return whether a value has the form of a type.

    Args:
        kind: Name of a known type.
        value: What a call passes.
        values: Accepted values of an enum.

    Example:
        >>> value_fits("email", "a@b.example", None), value_fits("int", 1.5, None)
        (True, False)
    """
    if kind in NUMERIC:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (kind != "int" or float(value).is_integer())
        )
    if kind == "bool":
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if values is not None and value not in values:
        return False
    if kind in PATTERNS:
        return PATTERNS[kind].fullmatch(value) is not None
    if kind in ("date", "datetime"):
        try:
            (date if kind == "date" else datetime).fromisoformat(value)
        except ValueError:
            return False
    return True
