# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON as RFC 8785 has it, written from the RFC: equal data has equal bytes, so a digest can be recomputed."""

from __future__ import annotations

import json

__all__ = ["canonical"]


def canonical(value: object) -> str:
    """Return the one text that stands for plain data.

    Raises:
        ValueError: Something has no such text.

    Example:
        >>> canonical({"b": 1.0, "a": [True, 1e21, 1e-7]})
        '{"a":[true,1e+21,1e-7],"b":1}'
    """
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return f"[{','.join(canonical(part) for part in value)}]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return (
            "{"
            + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{canonical(value[key])}" for key in keys)
            + "}"
        )
    raise ValueError(type(value).__name__)


def _number(value: float) -> str:
    """Write a number as ECMAScript does: digits of the shortest form, placed by its exponent."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN is the one that is not itself
        raise ValueError("a number that is not finite")
    if value == 0:
        return "0"
    sign, text = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    point -= len(whole + fraction) - len((whole + fraction).lstrip("0"))
    digits = digits.rstrip("0") or "0"
    count = len(digits)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"
