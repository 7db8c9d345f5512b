# SPDX-License-Identifier: Apache-2.0
"""Limits on concurrent trials, on their start rate and on their cost."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Iterable
from typing import Final

from pilothouse.errors import UsageError

__all__ = ["AdaptiveLimit", "Budget", "StartRate"]

CONCURRENCY_START: Final = 4
CONCURRENCY_MAX: Final = 256
"""Beyond it a single process gains nothing and a provider sees an attack."""

SLOW_FACTOR: Final = 2.0
"""Latency above this multiple of the usual one is a sign of a queue on the other side."""

ESTIMATE_FACTOR: Final = 1.5
"""A trial is reserved at this multiple of the dearest one so far: costs vary, a budget must not."""


class AdaptiveLimit:
    """Additive increase, multiplicative decrease: finds how many calls the other side takes.

    Doubles per full window until the first trouble, then grows by one per window without trouble and halves
    at trouble: a refusal for load, or latency above twice the usual.

    Args:
        start: Calls at once in the beginning.
        most: Most calls at once, at most 256.

    Raises:
        ValueError: The two contradict each other or the maximum.
    """

    def __init__(self, *, start: int = CONCURRENCY_START, most: int = CONCURRENCY_MAX) -> None:
        if not 1 <= start <= most <= CONCURRENCY_MAX:
            raise ValueError(f"concurrency must satisfy 1 <= {start} <= {most} <= {CONCURRENCY_MAX}")
        self.limit = start
        self.most = most
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_searching = True
        self._window: list[float] = []
        self._usual_s: float | None = None

    async def acquire(self) -> None:
        """Wait for a slot."""
        while self._in_flight >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._in_flight += 1

    def release(self, latency_s: float, *, is_pressure: bool = False) -> None:
        """Release the slot and report how the call went.

        Args:
            latency_s: Seconds the call took.
            is_pressure: Whether the other side refused for load.
        """
        self._in_flight -= 1
        if is_pressure:
            self._shrink()
        else:
            self._window.append(latency_s)
            if len(self._window) >= self.limit:
                self._judge_window()
        self._wake()

    def _judge_window(self) -> None:
        middle = statistics.median(self._window)
        self._window.clear()
        if self._usual_s is not None and middle > SLOW_FACTOR * self._usual_s:
            self._shrink()
            return
        self._usual_s = middle if self._usual_s is None else 0.8 * self._usual_s + 0.2 * middle
        grown = self.limit * 2 if self._is_searching else self.limit + 1
        self.limit = min(self.most, grown)

    def _shrink(self) -> None:
        self.limit = max(1, self.limit // 2)
        self._is_searching = False
        self._window.clear()

    def _wake(self) -> None:
        free = self.limit - self._in_flight
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


class StartRate:
    """Paces the starts of calls to a declared number a minute.

    Args:
        per_minute: Starts in a minute, or None for no limit.

    Raises:
        ValueError: The limit is not positive.
    """

    def __init__(self, per_minute: float | None) -> None:
        if per_minute is not None and per_minute <= 0:
            raise ValueError("a rate is positive")
        self._spacing_s = 60.0 / per_minute if per_minute else 0.0
        self._next_at = 0.0

    async def wait(self) -> None:
        """Wait until the next start is due."""
        if not self._spacing_s:
            return
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next_at)
        self._next_at = mine + self._spacing_s
        if mine > now:
            await asyncio.sleep(mine - now)


class Budget:
    """Money that a run may spend: reserved before a trial starts, settled after.

    Args:
        limit_usd: Most that may be spent, or None for no limit.

    Example:
        >>> budget = Budget(limit_usd=0.03)
        >>> budget.reserve()
        True
        >>> budget.settle(0.015)
        >>> budget.reserve()
        False
    """

    def __init__(self, *, limit_usd: float | None) -> None:
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        self.unpriced = 0
        self._reserved = 0
        self._dearest_usd = 0.0

    @property
    def estimate_usd(self) -> float:
        """The amount reserved for one more trial."""
        return ESTIMATE_FACTOR * self._dearest_usd

    def reserve(self) -> bool:
        """Reserve the cost of one more trial; False when the budget does not cover it.

        A trial that ended at an unknown cost keeps its reservation: what is not known is not zero.
        """
        if self.limit_usd is not None:
            ahead = (self._reserved + self.unpriced + 1) * self.estimate_usd
            if self.spent_usd + ahead > self.limit_usd or self.spent_usd >= self.limit_usd:
                return False
        self._reserved += 1
        return True

    def check_priced(self, costs_usd: Iterable[float | None]) -> None:
        """Refuse to go on when the first trials do not say what they cost: then no limit can hold.

        Args:
            costs_usd: What each of them cost, or None when that is not known.

        Raises:
            UsageError: There is a limit, and one of them is not known.
        """
        if self.limit_usd is not None and None in costs_usd:
            raise UsageError(
                "a budget is set, and what a trial costs is not known.",
                remedy="Let the target report `cost_usd`, give prices, add --allow-unpriced where it is taken, or leave --budget-usd out.",
            )

    def settle(self, cost_usd: float | None) -> None:
        """Replace a reservation by what was spent; an unknown cost is counted as unknown, not as nothing.

        Args:
            cost_usd: Cost of the trial with its scores, or None when it is not known.
        """
        self._reserved -= 1
        self.spend(cost_usd)

    def spend(self, cost_usd: float | None) -> None:
        """Count what was spent without a reservation.

        Args:
            cost_usd: What it cost, or None when that is not known.
        """
        if cost_usd is None:
            self.unpriced += 1
            return
        self.spent_usd += cost_usd
        self.learn(cost_usd)

    def learn(self, cost_usd: float | None) -> None:
        """Take a trial that was paid for earlier as a measure of the next one: nothing is spent.

        Args:
            cost_usd: What it cost, or None when that is not known.
        """
        self._dearest_usd = max(self._dearest_usd, cost_usd or 0.0)
