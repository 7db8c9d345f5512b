# SPDX-License-Identifier: Apache-2.0
"""Ids of traces and spans, from random bytes that are asked of the system in blocks: one system call for many ids."""

from __future__ import annotations

import os
import threading

__all__ = ["new_span_id", "new_trace_id"]

BLOCK_BYTES = 4_096
"""A block is 512 ids of spans; asking for so many takes hardly longer than asking for one."""

_LOCK = threading.Lock()
_BLOCK: list[bytes] = []


def new_trace_id() -> str:
    """Return a new trace id, 32 hex digits."""
    return _drawn(16)


def new_span_id() -> str:
    """Return a new span id, 16 hex digits."""
    return _drawn(8)


def _drawn(count: int) -> str:
    with _LOCK:
        block = _BLOCK.pop() if _BLOCK else b""
        if len(block) < count:
            block = os.urandom(BLOCK_BYTES)
        _BLOCK.append(block[count:])
    return block[:count].hex()


def _after_fork() -> None:
    # A child that went on with its parent's bytes would give the same ids.
    global _LOCK  # noqa: PLW0603 - another thread of the parent may have held it
    _LOCK = threading.Lock()
    _BLOCK.clear()


os.register_at_fork(after_in_child=_after_fork)
