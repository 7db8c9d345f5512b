# SPDX-License-Identifier: Apache-2.0
"""The recently closed traces, in a hundred bytes each; the newest are never forgotten."""

from __future__ import annotations

__all__ = ["REMEMBERED_MAX", "ClosedTraces"]

REMEMBERED_MAX = 200_000
"""Traces that are remembered; from half of them on those closed longest ago may be forgotten."""

_MARK = (1 << 60) - 1
"""Bits of a trace id's hash that are kept: a number of 60 is the largest that the interpreter holds in 32 bytes. Two ids
that share them are taken for one, and then looked up for nothing."""


class ClosedTraces:
    """Fingerprints of trace ids in two generations: a full one becomes the older, and the previous older one is dropped.

    Example:
        >>> closed = ClosedTraces()
        >>> closed.add("0af7651916cd43dd8448eb211c80319c")
        >>> "0af7651916cd43dd8448eb211c80319c" in closed, closed.has_forgotten
        (True, False)
    """

    def __init__(self) -> None:
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self.has_forgotten = False

    def add(self, trace_id: str) -> None:
        """Note that a trace was closed."""
        self._newer.add(hash(trace_id) & _MARK)
        if len(self._newer) >= REMEMBERED_MAX // 2:
            self.has_forgotten = self.has_forgotten or bool(self._older)
            self._older, self._newer = self._newer, set()

    def __contains__(self, trace_id: str) -> bool:
        mark = hash(trace_id) & _MARK
        return mark in self._newer or mark in self._older
