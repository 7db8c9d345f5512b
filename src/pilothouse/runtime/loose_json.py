# SPDX-License-Identifier: Apache-2.0
"""Tolerant access to foreign JSON: a value of an unexpected type counts as empty."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["list_or_empty", "object_or_empty"]


def object_or_empty(body: bytes) -> dict[str, Any]:
    """Return a body as a JSON object, empty for anything else.

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
    """Return a value as a list, empty for anything else."""
    return value if isinstance(value, list) else []
