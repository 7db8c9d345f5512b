# SPDX-License-Identifier: Apache-2.0
"""Looks into JSON that others wrote and that need not be what it should: what is of another shape is empty."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["list_or_empty", "object_or_empty"]


def object_or_empty(body: bytes) -> dict[str, Any]:
    """Return a body as a JSON object; empty where it is none.

    Example:
        >>> object_or_empty(b'{"a": 1}'), object_or_empty(b"[1]"), object_or_empty(b"not JSON")
        ({'a': 1}, {}, {})
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def list_or_empty(value: Any) -> list[Any]:
    """Return a value that should be a list; empty where it is none."""
    return value if isinstance(value, list) else []
