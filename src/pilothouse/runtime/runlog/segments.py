# SPDX-License-Identifier: Apache-2.0
"""Cut a request body where its messages begin, so that a conversation is stored once however often it is sent.

Joining the pieces gives the body byte for byte, wherever the cuts are; where they are decides only how much is shared.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

__all__ = ["SEGMENTS_MAX", "cut"]

SEGMENTS_MAX = 20_000
"""Pieces of one body; beyond it the rest is one piece. No conversation has as many messages."""

CUT_BYTES_MIN = 512
"""A shorter body is not worth cutting."""


class _Body(msgspec.Struct):
    """The parts of a request where messages stand, as raw bytes."""

    messages: msgspec.Raw = msgspec.Raw(b"")
    input: msgspec.Raw = msgspec.Raw(b"")


_BODY = msgspec.json.Decoder(_Body)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def cut(body: bytes) -> list[bytes]:
    """Return the pieces of a body: each message with what stands before it, and what stands after the last.

    Args:
        body: Any bytes; what is not a request in JSON comes back whole.

    Example:
        >>> cut(b'{"messages": [' + b'{"a":1}, ' * 60 + b'{"b":2}], "model": "m"}')[-2:]
        [b', {"b":2}', b'], "model": "m"}']
    """
    if len(body) < CUT_BYTES_MIN:
        return [body]
    try:
        parsed = _BODY.decode(body)
        listed = bytes(parsed.messages) or bytes(parsed.input)
        items = _LIST.decode(listed) if listed.startswith(b"[") else []
    except (msgspec.DecodeError, ValueError, RecursionError):
        return [body]
    if not items:
        return [body]
    at = body.find(listed) + 1
    edges = [0]
    for item in items[:SEGMENTS_MAX]:
        raw = bytes(item)
        # A cut stands behind a message: the comma belongs to the next one, so what was last is shared later.
        at = body.find(raw, at) + len(raw)
        edges.append(at)
    edges.append(len(body))
    return [body[low:high] for low, high in pairwise(edges)]
