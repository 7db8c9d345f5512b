# SPDX-License-Identifier: Apache-2.0
"""Parse JSON only where every reader takes it for the same value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["strict_json"]


def strict_json(text: str | bytes, *, parse_int: Callable[[str], int] = int) -> Any:
    """Return what a text says that every reader takes for the same JSON.

    Args:
        text: The text.
        parse_int: Reads a whole number, or raises `ValueError` for one that is refused.

    Raises:
        ValueError: It is no JSON, holds a number that is none, or says a key twice.
        RecursionError: It is nested too deep.

    Example:
        >>> strict_json('{"a": 1}')
        {'a': 1}
        >>> strict_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: a key stands twice
    """
    return json.loads(
        text, parse_constant=_refuse_constant, object_pairs_hook=_each_once, parse_int=parse_int
    )


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
