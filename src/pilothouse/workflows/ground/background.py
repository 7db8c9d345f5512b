# SPDX-License-Identifier: Apache-2.0
"""Run the server's recurring work as idempotent ticks in one thread; a failing tick stops no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.errors import PilothouseError
from pilothouse.ports.clock import Clock
from pilothouse.ports.work import TickState

__all__ = ["Background", "Tick"]

BACKOFF_MAX_S = 300.0
"""A tick that keeps failing is tried at least this often, so that a cured cause is noticed in minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One piece of recurring work that may run any number of times with the same effect.

    Attributes:
        name: Name for health pages and logs.
        every_s: Pause between the end of one run and the start of the next, seconds.
        run: The work; gets the present moment (aware UTC).
    """

    name: str
    every_s: float
    run: Callable[[datetime], object]


class Background:
    """The thread that runs the ticks, each at its own pace, until it is stopped.

    Args:
        ticks: The work.
        clock: Tells each run what time it is; pauses use the monotonic clock.
        on_error: Told about each failure by tick name and text; must not raise.
        monotonic: The monotonic clock, seconds.
    """

    def __init__(
        self,
        ticks: Sequence[Tick],
        clock: Clock,
        on_error: Callable[[str, str], None] = lambda _name, _text: None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ticks = tuple(ticks)
        self._clock = clock
        self._on_error = on_error
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._states = {tick.name: TickState(name=tick.name) for tick in self._ticks}
        self._thread = threading.Thread(target=self._loop, name="pilothouse-background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Ask the thread to end after the run in hand; return whether it did in time."""
        self._stop.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def states(self) -> tuple[TickState, ...]:
        """Return how each tick is doing, in the order they were given."""
        return tuple(self._states[tick.name] for tick in self._ticks)

    def run_due(self, due: dict[str, float]) -> float:
        """Run every tick that is due and return when the next one is, on the monotonic clock.

        Args:
            due: When each tick is due, by name; updated in place.
        """
        began_s = self._monotonic()
        for tick in self._ticks:
            if self._stop.is_set():
                break
            if due.get(tick.name, began_s) <= began_s:
                pause_s = self._run(tick)
                due[tick.name] = self._monotonic() + pause_s
        return min(due.values(), default=began_s + BACKOFF_MAX_S)

    def _loop(self) -> None:
        due: dict[str, float] = {}
        while not self._stop.is_set():
            next_s = self.run_due(due)
            self._stop.wait(max(0.05, next_s - self._monotonic()))

    def _run(self, tick: Tick) -> float:
        state = self._states[tick.name]
        try:
            tick.run(self._clock.now())
        except Exception as error:  # noqa: BLE001 - one tick's bug must not stop the others; it is shown by `doctor`
            text = str(error) if isinstance(error, PilothouseError) else f"{type(error).__name__}: {error}"
            failures = state.failures + 1
            self._states[tick.name] = TickState(
                name=tick.name, runs=state.runs + 1, failures=failures, last_error=text
            )
            self._on_error(tick.name, text)
            return min(BACKOFF_MAX_S, tick.every_s * float(2 ** min(failures, 8)))
        self._states[tick.name] = TickState(name=tick.name, runs=state.runs + 1)
        return tick.every_s
