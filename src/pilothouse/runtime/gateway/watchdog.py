# SPDX-License-Identifier: Apache-2.0
"""One timer for all the limits of a call: it cancels the call's task and says which limit it was.

Moving a limit costs one assignment and no timer: the timer looks when it fires and sleeps on.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

__all__ = ["Stop", "Watchdog"]


class Stop(StrEnum):
    """Why a call was stopped from outside."""

    FIRST_BYTE = "first_byte"
    IDLE = "idle"
    DEADLINE = "deadline"
    CLIENT_SLOW = "client_slow"
    CLIENT_GONE = "client_gone"


class Watchdog:
    """Guards the task that makes it.

    Attributes:
        stopped: Which limit was reached, or None.
    """

    __slots__ = ("_deadline", "_due", "_loop", "_over", "_reason", "_task", "_timer", "stopped")

    def __init__(self, total_s: float) -> None:
        """Begin with the whole call's limit.

        Args:
            total_s: Time for the whole call, seconds.
        """
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a coroutine always runs in a task
            raise RuntimeError("no task to guard")
        self._task = task
        self._deadline = self._due = self._loop.time() + total_s
        self._reason = Stop.DEADLINE
        self._over = False
        self.stopped: Stop | None = None
        self._timer = self._loop.call_at(self._due, self._look)

    @property
    def left_s(self) -> float:
        """Time left for the whole call, seconds."""
        return self._deadline - self._loop.time()

    def restart(self, total_s: float) -> None:
        """Begin anew with another limit for the whole call.

        Args:
            total_s: From now, seconds.
        """
        self._timer.cancel()
        self._deadline = self._due = self._loop.time() + total_s
        self._reason = Stop.DEADLINE
        self._timer = self._loop.call_at(self._due, self._look)

    def limit(self, reason: Stop, seconds: float) -> None:
        """Put a limit on what comes next, in place of the last one; the whole call's stays.

        Args:
            reason: What to say when it is reached.
            seconds: From now.
        """
        due = self._loop.time() + seconds
        if due >= self._deadline:
            due, reason = self._deadline, Stop.DEADLINE
        self._reason = reason
        if due < self._due and due < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)
        self._due = due

    def stop(self, reason: Stop) -> None:
        """Stop the call now; later reasons do not count.

        Args:
            reason: Why.
        """
        if self.stopped is None and not self._over:
            self.stopped = reason
            self._task.cancel()

    def go_on(self) -> Stop | None:
        """Take a stop back after its cancellation was caught, and return its reason.

        None means that somebody else cancelled the task: then it must end.
        """
        reason, self.stopped = self.stopped, None
        if reason is not None:
            self._task.uncancel()
        return reason

    def close(self) -> None:
        """Guard nothing any more."""
        self._over = True
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if now + 0.001 >= self._due:
            self.stop(self._reason)
            self._timer = self._loop.call_at(max(self._deadline, now + 1.0), self._look)
        else:
            self._timer = self._loop.call_at(self._due, self._look)
