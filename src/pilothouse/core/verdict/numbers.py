# SPDX-License-Identifier: Apache-2.0
"""Format numbers in sentences: as many digits as the sample supports."""

from __future__ import annotations

__all__ = [
    "apart",
    "days_long",
    "in_unit",
    "interval",
    "percent",
    "percent_range",
    "percentage",
    "short_digest",
    "significant",
]

PERCENT_DECIMALS_FROM = 100
"""Cases from which a percentage bears one decimal."""

DECIMALS_MAX = 4
"""Digits added at most to tell a value from its bound."""

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def percent(rate: float, n: int, *, bound: float | None = None) -> str:
    """Write a rate as a percentage.

    Args:
        rate: In [0, 1].
        n: Cases behind it: one decimal from 100 on, none below.
        bound: Committed rate; digits are added until the text differs from its text.

    Example:
        >>> percent(0.831, 1204), percent(0.5, 12), percent(0.9496, 400, bound=0.95)
        ('83.1 %', '50 %', '94.96 %')
    """
    start = 1 if n >= PERCENT_DECIMALS_FROM else 0
    for decimals in range(start, DECIMALS_MAX + 1):
        text = f"{rate * 100:.{decimals}f}"
        if bound is None or rate == bound or float(text) != float(f"{bound * 100:.{decimals}f}"):
            break
    return f"{text} %"


def percentage(rate: float, *, decimals: int = 1, signed: bool = False) -> str:
    """Write a rate with a set number of decimals, for lines whose columns or bounds ask for it.

    Args:
        rate: In [0, 1], or a difference of rates.
        decimals: Digits behind the point.
        signed: Whether a plus is written.

    Example:
        >>> percentage(0.95), percentage(0.031, decimals=0), percentage(0.031, signed=True)
        ('95.0 %', '3 %', '+3.1 %')
    """
    return f"{100 * rate:{'+' if signed else ''}.{decimals}f} %"


def apart(rate: float, line: float) -> tuple[str, str]:
    """Write a rate and its line with one decimal, or with as many as tell the two apart.

    Example:
        >>> apart(0.83, 0.95), apart(0.9496, 0.95)
        (('83.0 %', '95.0 %'), ('94.96 %', '95.00 %'))
    """
    for decimals in range(1, DECIMALS_MAX + 1):
        texts = percentage(rate, decimals=decimals), percentage(line, decimals=decimals)
        if rate == line or texts[0] != texts[1]:
            break
    return texts


def percent_range(low: float, high: float, *, decimals: int = 1, signed: bool = False) -> str:
    """Write the interval of a `percentage`, without repeating its sign.

    Example:
        >>> percent_range(0.91, 0.974), percent_range(-0.02, 0.1, decimals=0, signed=True)
        ('[91.0, 97.4]', '[-2, +10]')
    """
    ends = [percentage(end, decimals=decimals, signed=signed).removesuffix(" %") for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def significant(amount: float, digits: int = 3) -> str:
    """Write an amount with some significant digits, in plain notation.

    Example:
        >>> significant(0.04123), significant(1234.5), significant(0.0)
        ('0.0412', '1,230', '0')
    """
    if amount == 0:
        return "0"
    rounded = float(f"{amount:.{digits - 1}e}")
    exponent = int(f"{rounded:e}".partition("e")[2])
    decimals = max(0, digits - 1 - exponent)
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def in_unit(value: float, unit: str, *, n: int, currency: str, bound: float | None = None) -> str:
    """Write a value with its unit.

    Args:
        value: The value.
        unit: `rate`, `usd`, `seconds`, `points`, `count`, `days` or empty.
        n: Cases behind it.
        currency: ISO code, for money.
        bound: Committed bound, so that the two texts differ when the numbers do.

    Example:
        >>> in_unit(0.0412, "usd", n=200, currency="USD"), in_unit(1.7, "seconds", n=90, currency="USD")
        ('$0.0412', '1.7 s')
    """
    if unit == "rate":
        return percent(value, n, bound=bound)
    digits = 3
    text = significant(value, digits)
    while bound is not None and value != bound and text == significant(bound, digits) and digits < 9:
        digits += 1
        text = significant(value, digits)
    if unit == "usd":
        symbol = _SYMBOLS.get(currency)
        return f"{symbol}{text}" if symbol else f"{text} {currency}"
    words = {"seconds": " s", "points": " points", "days": " days"}
    return text + words.get(unit, "")


def interval(low: float, high: float, unit: str, *, n: int, currency: str) -> str:
    """Write an interval without repeating its unit.

    Example:
        >>> interval(0.0312, 0.0561, "rate", n=972, currency="USD")
        '[3.1, 5.6]'
    """
    ends = [in_unit(end, unit, n=n, currency=currency) for end in (low, high)]
    if unit == "rate":
        ends = [end.removesuffix(" %") for end in ends]
    elif unit in {"seconds", "points"}:
        ends = [end.partition(" ")[0] for end in ends]
    return f"[{ends[0]}, {ends[1]}]"


def days_long(days: float, *, bound: float | None = None) -> str:
    """Write a time of days.

    Args:
        days: How long.
        bound: What was promised; digits are added until the text says something else.

    Example:
        >>> days_long(1.0), days_long(7.04, bound=7)
        ('1.0', '7.04')
    """
    for decimals in range(1, DECIMALS_MAX + 1):
        text = f"{days:,.{decimals}f}"
        if bound is None or days == bound or float(text.replace(",", "")) != bound:
            break
    return text


def short_digest(digest: str | None) -> str:
    """Write a digest so that a person can compare two.

    Example:
        >>> short_digest("5010386b0f11"), short_digest(None)
        ('5010386', 'unnamed')
    """
    return digest[:7] if digest else "unnamed"
