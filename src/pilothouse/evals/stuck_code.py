# SPDX-License-Identifier: Apache-2.0
"""Interrupt third-party code that blocks the event loop of all trials.

An exception is raised at its place by a timer of the system, as often as it takes no notice of it. What holds the interpreter itself, such
as a pattern that tries every way, hears of no exception: it ends with its process, which the command outlives.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["STUCK_S", "CodeStuck", "interrupting"]

STUCK_S: Final = 60.0
"""A scorer has as long, so nothing that takes longer in one piece is a score."""

STUCK_CPU_S: Final = 300.0
"""Time of the processors after which the process ends; several threads together use it up sooner, but never while the loop goes on."""

BEAT_S: Final = 1.0
"""How often the loop shows that it goes on; the timers begin anew."""


class CodeStuck(BaseException):
    """Raised within blocking code; its own `except Exception` does not catch it."""


@contextmanager
def interrupting(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Interrupt code that blocks the loop while the body runs; no effect outside the main thread, or where the timer is in use.

    Args:
        loop: The loop that runs.
    """
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
        yield
        return

    again: asyncio.TimerHandle | None = None

    def interrupt(_number: int, _frame: object) -> None:
        # Between two tasks nothing is held up: the process itself was stopped, and goes on.
        if asyncio.current_task(loop) is not None:
            raise CodeStuck(f"computed for {STUCK_S:g} s and let nothing else go on")

    def beat() -> None:
        nonlocal again
        signal.setitimer(signal.ITIMER_REAL, STUCK_S, STUCK_S)
        signal.setitimer(signal.ITIMER_PROF, STUCK_CPU_S)
        again = loop.call_later(BEAT_S, beat)

    signal.signal(signal.SIGALRM, interrupt)
    beat()
    try:
        yield
    finally:
        if again is not None:
            again.cancel()
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
