# SPDX-License-Identifier: Apache-2.0
"""Timeouts of an agent that exclude the time in which this process itself was busy: a computing scorer is no slow agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["Deadlines"]

BEAT_S: Final = 0.05
"""How often it is looked whether the process goes on."""

HELD_S_MIN: Final = 0.2
"""What a busy machine takes now and then anyway; beyond it the time is given back."""


class Deadlines:
    """Limits the time of concurrent bodies, and credits back time in which the event loop was blocked."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._beaten_at_s = 0.0
        self._beat_at: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Limit the time of the body.

        Args:
            seconds: Longest time, without that for which the process was held up.

        Raises:
            TimeoutError: It took longer.
        """
        async with asyncio.timeout(seconds) as limit:
            self._open.add(limit)
            if self._beat_at is None:
                self._beaten_at_s = asyncio.get_running_loop().time()
                self._beat()
            try:
                yield
            finally:
                self._open.discard(limit)

    def _beat(self) -> None:
        """Measure the delay since the last beat, and postpone timers that came due meanwhile and have not run yet."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        held_s = now_s - self._beaten_at_s - BEAT_S
        self._beaten_at_s = now_s
        if held_s > HELD_S_MIN:
            for limit in self._open:
                ends_at_s = limit.when()
                if ends_at_s is not None and not limit.expired():
                    limit.reschedule(ends_at_s + held_s)
        self._beat_at = loop.call_later(BEAT_S, self._beat) if self._open else None
