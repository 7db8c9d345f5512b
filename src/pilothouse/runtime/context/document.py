# SPDX-License-Identifier: Apache-2.0
"""Parse a request body as JSON only where every parser reads the same object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX
from pilothouse.schemas.strict_json import strict_json

__all__ = ["document_of", "readable_of"]

DEPTH_MAX = 200
"""Deeper nesting is no conversation, and whatever walks through it would need a stack of its own."""


def document_of(body: bytes) -> dict[str, Any] | None:
    """Return a body as a JSON object, or None where it has no one canonical form.

    Example:
        >>> document_of(b'{"a": 1}'), document_of(b'{"a": 1, "a": 2}'), document_of(b'{"a": 9007199254740993}')
        ({'a': 1}, None, None)
    """
    return _read(body, parse_int=_exact)


def readable_of(body: bytes) -> dict[str, Any] | None:
    """Return a body as an unambiguous JSON object, also with whole numbers too large for a canonical form.

    Example:
        >>> readable_of(b'{"a": 9007199254740993}'), readable_of(b'{"a": 1, "a": 2}')
        ({'a': 9007199254740993}, None)
    """
    return _read(body, parse_int=int)


def _read(body: bytes, *, parse_int: Callable[[str], int]) -> dict[str, Any] | None:
    try:
        document = strict_json(body, parse_int=parse_int)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and not _is_deep(document) else None


def _is_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _exact(text: str) -> int:
    number = int(text)
    if abs(number) > INTEGER_EXACT_MAX:
        raise ValueError("a whole number that not every reader keeps exactly")
    return number
