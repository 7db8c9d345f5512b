# SPDX-License-Identifier: Apache-2.0
"""A clock that never goes back: deadlines may expire early, never late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from pilothouse.ports.clock import Clock

__all__ = ["SteadyClock"]


class SteadyClock:
    """The latest of the wall clock, the last reading plus elapsed monotonic time, and the latest recorded moment.

    Args:
        clock: The wall clock.
        latest: Latest moment that was recorded before, or None.
        monotonic: Seconds that only grow.
    """

    def __init__(
        self, clock: Clock, latest: datetime | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last = max(clock.now(), latest) if latest else clock.now()
        self._last_s = monotonic()

    def now(self) -> datetime:
        """Return the present moment, aware UTC, never earlier than a previous reading."""
        with self._lock:
            at_s = self._monotonic()
            self._last = max(self._clock.now(), self._last + timedelta(seconds=max(0.0, at_s - self._last_s)))
            self._last_s = at_s
            return self._last
