# SPDX-License-Identifier: Apache-2.0
"""The wall clock of a node, checked against a clock that cannot be set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pilothouse.ports.clock import Clock

__all__ = ["NodeClock", "boot_s"]

JUMP_NS = 60 * 1_000_000_000
"""A correction by more than this is counted: spans of that minute carry times that do not fit."""

TRUST_NS = 86_400 * 1_000_000_000
"""So far the wall clock may run ahead before nothing is deleted by it; retention counts in days."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def boot_s() -> float:
    """Return the seconds since this machine started, sleep included where the system tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class NodeClock:
    """Timestamps for receipts and for deletion; safe to call from any thread.

    Args:
        clock: The wall clock.
        on_jump: Told when it was set by more than a minute.
        elapsed_s: A clock that only runs, seconds.

    Example:
        >>> from types import SimpleNamespace
        >>> wall = SimpleNamespace(now=lambda: EPOCH + timedelta(days=wall.day), day=100)
        >>> clock = NodeClock(wall, elapsed_s=lambda: 0.0)
        >>> wall.day = 900
        >>> clock.now_ns() // 10**9 // 86_400, clock.sure_ns() // 10**9 // 86_400
        (900, 101)
    """

    def __init__(
        self,
        clock: Clock,
        on_jump: Callable[[], None] = lambda: None,
        elapsed_s: Callable[[], float] = boot_s,
    ) -> None:
        self._clock = clock
        self._on_jump = on_jump
        self._elapsed_s = elapsed_s
        self._last_ns = self._read_ns()
        self._offset_ns = self._first_offset_ns = self._last_ns - self._elapsed_ns()

    def now_ns(self) -> int:
        """Return the wall clock in Unix nanoseconds; never earlier than the last answer."""
        wall_ns = self._read_ns()
        offset_ns = wall_ns - self._elapsed_ns()
        if abs(offset_ns - self._offset_ns) > JUMP_NS:
            self._offset_ns = offset_ns
            self._on_jump()
        self._last_ns = max(self._last_ns, wall_ns)
        return self._last_ns

    def sure_ns(self) -> int:
        """Return a time that has certainly passed, so that a clock set forward by years deletes nothing."""
        return min(self._read_ns(), self._first_offset_ns + self._elapsed_ns() + TRUST_NS)

    def _read_ns(self) -> int:
        return (self._clock.now() - EPOCH) // timedelta(microseconds=1) * 1_000

    def _elapsed_ns(self) -> int:
        return int(self._elapsed_s() * 1e9)
