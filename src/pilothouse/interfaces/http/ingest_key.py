# SPDX-License-Identifier: Apache-2.0
"""The ingest key of a request as a short id that tells senders apart without revealing the key."""

from __future__ import annotations

import hashlib

__all__ = ["NO_KEY", "source_of"]

NO_KEY = "otlp"
"""Source of requests that name no key."""

ID_DIGITS = 12
"""Hexadecimal digits of an id: two keys of one installation never share one."""


def source_of(key: str, authorization: str) -> str:
    """Return the source of a request: `otlp`, or `otlp:` and the digest of its key.

    Args:
        key: The header `x-pilothouse-key`, or empty.
        authorization: The header `authorization`, or empty.

    Example:
        >>> source_of("", "")
        'otlp'
        >>> source_of("team-a", "") == source_of("", "Bearer team-a")
        True
    """
    sent = key or authorization.removeprefix("Bearer ").strip()
    if not sent:
        return NO_KEY
    return f"{NO_KEY}:{hashlib.sha256(sent.encode()).hexdigest()[:ID_DIGITS]}"
