# SPDX-License-Identifier: Apache-2.0
"""Parse an attribute without the protobuf library: a short name with a text or a whole number.

Nearly every attribute has one of these two shapes, and its length alone says how such a one has to begin. What is
written in any other way is left to the library, so both always say the same.
"""

from __future__ import annotations

from functools import lru_cache

from pilothouse.lake.attributes import KNOWN_KEYS_MAX, Attribute, Name, describe, name_of

__all__ = ["read_short_pair"]

VALUE_BYTES_MAX = 4_096
"""A longer value is read by the library, which costs little beside its text."""

NUMBER_BYTES_MAX = 9
"""A number of more bytes is below zero, or is none."""

LAST = 0x7F
"""The largest byte that ends a number of variable length."""


def _field(tag: int, size: int) -> bytes:
    """Return the first bytes of a length-delimited field."""
    return bytes([tag, size] if size <= LAST else [tag, size & LAST | 0x80, size >> 7])


def _text_heads() -> list[bytes | None]:
    """Return the first bytes of a text value by its length; None for an impossible length."""
    heads: list[bytes | None] = [None] * VALUE_BYTES_MAX
    for size in range(VALUE_BYTES_MAX):
        text = _field(0x0A, size)
        head = _field(0x12, len(text) + size) + text
        if len(head) + size < VALUE_BYTES_MAX:
            heads[len(head) + size] = head
    return heads


_TEXT_HEADS = _text_heads()
_NUMBER_HEADS = {size + 3: bytes([0x12, size + 1, 0x18]) for size in range(1, NUMBER_BYTES_MAX + 1)}


def read_short_pair(raw: bytes) -> Attribute | None:
    """Return an attribute with a short name and a text or a whole number, or None when it is anything else.

    Raises:
        UnicodeDecodeError: The name or the text is no UTF-8.

    Example:
        >>> read_short_pair(bytes([0x0A, 1, 0x6B, 0x12, 4, 0x0A, 2]) + b"ok").json
        '"k":"ok"'
        >>> read_short_pair(bytes([0x0A, 1, 0x6B, 0x12, 3, 0x18, 0xAC, 2])).json
        '"k":300'
    """
    if len(raw) < 2:
        return None
    at = raw[1] + 2
    size = len(raw) - at
    if not 0 < size < VALUE_BYTES_MAX:
        return None
    name = _name_at(raw[:at])
    if name is None:
        return None
    head = _TEXT_HEADS[size]
    if head is not None and raw.startswith(head, at):
        return describe(name, raw[at + len(head) :].decode())
    head = _NUMBER_HEADS.get(size)
    if head is not None and raw.startswith(head, at):
        number = _number(raw[at + 3 :])
        return None if number is None else describe(name, number)
    return None


@lru_cache(maxsize=KNOWN_KEYS_MAX)
def _name_at(start: bytes) -> Name | None:
    """Return the name that an attribute begins with, or None when it is not the first field."""
    return name_of(start[2:].decode()) if start[0] == 0x0A and start[1] <= LAST else None


def _number(raw: bytes) -> int | None:
    """Return a number of variable length that fills all its bytes, or None."""
    number = 0
    for place, byte in enumerate(raw):
        if (byte > LAST) == (place == len(raw) - 1):
            return None
        number |= (byte & LAST) << 7 * place
    return number
