# SPDX-License-Identifier: Apache-2.0
"""One timer for all the limits of a call: it cancels the call's task and says which limit it was.

Moving a limit costs one assignment and no timer: the timer looks when it fires and sleeps on. A call that is over within
`LATE_S` never has a timer of its own: the young ones share one, and only who is still there when it fires gets his.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

__all__ = ["LATE_S", "Stop", "Watchdog", "Young"]

LATE_S = 0.02
"""Between one and two of these a call gets what only long ones need: a timer, and an eye on whether its client is there."""


class Stop(StrEnum):
    """Why a call was stopped from outside."""

    FIRST_BYTE = "first_byte"
    IDLE = "idle"
    DEADLINE = "deadline"
    CLIENT_SLOW = "client_slow"
    CLIENT_GONE = "client_gone"


class Young:
    """The calls that have just come in; in the loop that serves, and nowhere else."""

    def __init__(self) -> None:
        """Begin with none."""
        self._newest: list[Watchdog] = []
        self._older: list[Watchdog] = []

    def add(self, dog: Watchdog) -> None:
        """Tell a watchdog after one to two times `LATE_S` that its call is late, unless it is over by then."""
        if not self._newest and not self._older:
            asyncio.get_running_loop().call_later(LATE_S, self._look)
        self._newest.append(dog)

    def _look(self) -> None:
        late, self._older, self._newest = self._older, self._newest, []
        for dog in late:
            dog.be_late()
        if self._older:
            asyncio.get_running_loop().call_later(LATE_S, self._look)


class Watchdog:
    """Guards the task that makes it.

    Attributes:
        stopped: Which limit was reached, or None.
    """

    __slots__ = (
        "_deadline",
        "_due",
        "_fires",
        "_loop",
        "_on_late",
        "_over",
        "_reason",
        "_span",
        "_task",
        "_timer",
        "stopped",
    )

    def __init__(self, total_s: float, young: Young) -> None:
        """Begin with the whole call's limit.

        Args:
            total_s: Time for the whole call, seconds.
            young: The calls that have just come in.
        """
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        if task is None:  # pragma: no cover - a coroutine always runs in a task
            raise RuntimeError("no task to guard")
        self._task = task
        self._deadline = self._due = self._loop.time() + total_s
        self._span = total_s
        self._reason = Stop.DEADLINE
        self._over = False
        self._on_late: Callable[[], None] | None = None
        self._timer: asyncio.Handle | None = None
        self._fires = 0.0
        self.stopped: Stop | None = None
        young.add(self)

    @property
    def left_s(self) -> float:
        """Time left for the whole call, seconds."""
        return self._deadline - self._loop.time()

    def when_late(self, do: Callable[[], None]) -> None:
        """Do something once the call is late; at once when it is already."""
        if self._timer is None:
            self._on_late = do
        else:
            do()

    def be_late(self) -> None:
        """Take a timer, for the call is no quick one."""
        if self._over:
            return
        if self._timer is None:
            self._fire(self._due)
        late, self._on_late = self._on_late, None
        if late is not None:
            late()

    def restart(self, total_s: float) -> None:
        """Begin anew with another limit for the whole call.

        Args:
            total_s: From now, seconds.
        """
        now = self._loop.time()
        self._deadline = self._due = now + total_s
        self._move(now)

    def limit(self, reason: Stop, seconds: float) -> None:
        """Put a limit on what comes next, in place of the last one; the whole call's stays.

        Args:
            reason: What to say when it is reached.
            seconds: From now.
        """
        now = self._loop.time()
        self._reason, self._span = reason, seconds
        self._due = min(now + seconds, self._deadline)
        self._move(now)

    def hear(self) -> None:
        """Let the limit that was put last count from now again: something has come. A stream says so for each part."""
        due = self._loop.time() + self._span
        self._due = min(self._deadline, due)

    def lift(self) -> None:
        """Put no limit on what comes next but the whole call's."""
        self._due = self._deadline

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
        self._on_late = None
        if self._timer is not None:
            self._timer.cancel()

    def _move(self, now: float) -> None:
        """See that a timer fires by the new limit: one that fires before it only looks, and none is needed while young."""
        timer = self._timer
        if timer is None:
            if self._due - now < 2 * LATE_S:
                self._fire(self._due)
        elif self._due < self._fires:
            timer.cancel()
            self._fire(self._due)

    def _look(self) -> None:
        now = self._loop.time()
        if now + 0.001 >= self._due:
            self.stop(self._reason if self._due < self._deadline else Stop.DEADLINE)
            self._fire(max(self._deadline, now + 1.0))
        else:
            self._fire(self._due)

    def _fire(self, at: float) -> None:
        """Look at a moment; one that is over already gives a handle that does not say when it was, on one of the loops."""
        self._fires = at
        self._timer = self._loop.call_at(at, self._look)
