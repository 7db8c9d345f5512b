# SPDX-License-Identifier: Apache-2.0
"""Rate limiter by the generic cell rate algorithm (GCRA): two numbers and no queue."""

from __future__ import annotations

import threading

__all__ = ["PUSH_BACK_MAX_S", "RateLimiter"]

PUSH_BACK_MAX_S = 60.0
"""Longest pause that one answer can impose on everybody: a system that says 10^9 stops us for a minute."""


class RateLimiter:
    """GCRA: `rate_per_s` on average, `burst` at once.

    With T = 1/rate and τ = (burst - 1)·T an attempt may start from TAT - τ on, and moves the theoretical
    arrival time to max(now, TAT) + T. An attempt that has to wait takes its place at once, so those who
    wait keep their order and no moment is promised twice. Safe between threads, because the tools of one
    integration share its limit.

    Args:
        rate_per_s: Attempts a second.
        burst: Attempts that may start together, at least 1.

    Raises:
        ValueError: Rate or burst is no rate or burst.

    Source:
        ITU-T I.371, virtual scheduling.

    Example:
        >>> limiter = RateLimiter(10.0, burst=2)
        >>> [limiter.reserve(0.0, wait_max_s=0.15) for _ in range(4)]
        [0.0, 0.0, 0.1, None]
    """

    def __init__(self, rate_per_s: float, *, burst: int = 1) -> None:
        if not rate_per_s > 0 or burst < 1:
            raise ValueError(f"a rate of {rate_per_s}/s with a burst of {burst} admits nothing")
        self._interval_s = 1.0 / rate_per_s
        self._tolerance_s = (burst - 1) * self._interval_s
        self._arrival_s = float("-inf")
        self._lock = threading.Lock()

    def wait_s(self, now_s: float) -> float:
        """Return how long an attempt would have to wait now, seconds."""
        return max(0.0, self._arrival_s - self._tolerance_s - now_s)

    def reserve(self, now_s: float, *, wait_max_s: float) -> float | None:
        """Reserve a start.

        Args:
            now_s: Monotonic seconds.
            wait_max_s: Longest wait that is of use, seconds.

        Returns:
            Seconds to wait before the attempt; None when it would be longer, and then nothing was taken.
        """
        with self._lock:
            wait_s = self.wait_s(now_s)
            if wait_s > wait_max_s:
                return None
            self._arrival_s = max(now_s, self._arrival_s) + self._interval_s
            return wait_s

    def push_back(self, now_s: float, retry_after_s: float) -> None:
        """Apply a `Retry-After` of the system.

        Args:
            now_s: Monotonic seconds.
            retry_after_s: What it said, seconds.
        """
        pause_s = min(retry_after_s, PUSH_BACK_MAX_S)
        with self._lock:
            self._arrival_s = max(self._arrival_s, now_s + pause_s + self._tolerance_s)
