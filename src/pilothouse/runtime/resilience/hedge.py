# SPDX-License-Identifier: Apache-2.0
"""Hedged requests: when a read that is slower than nearly all others gets a second, concurrent attempt."""

from __future__ import annotations

from collections import deque

__all__ = ["Hedge"]

LATENCIES_KEPT = 128
"""Enough for a steady 95 % quantile; sorting them costs a few microseconds, once in 16 calls."""

LATENCIES_MIN = 20
"""Below this a 95 % quantile is only the slowest call seen."""

RECOUNT_EVERY = 16


class Hedge:
    """Tracks the usual latency of a tool, and limits hedged attempts.

    Args:
        share: Largest share of calls that gets a second attempt.

    Example:
        >>> hedge = Hedge()
        >>> for _ in range(40):
        ...     hedge.observe(0.1)
        >>> hedge.delay_s(), hedge.start(), hedge.start(), hedge.start()
        (0.1, True, True, False)
    """

    def __init__(self, *, share: float = 0.05) -> None:
        self._share = share
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._calls = 0
        self._hedged = 0
        self._quantile: float | None = None

    def observe(self, took_s: float) -> None:
        """Count a finished call.

        Args:
            took_s: How long it took, seconds.
        """
        self._calls += 1
        self._latencies.append(took_s)
        seen = len(self._latencies)
        if seen >= LATENCIES_MIN and (self._quantile is None or self._calls % RECOUNT_EVERY == 0):
            self._quantile = sorted(self._latencies)[int(0.95 * (seen - 1))]

    def delay_s(self) -> float | None:
        """Return the delay of a hedged attempt in seconds; None with too few observations."""
        return self._quantile

    def start(self) -> bool:
        """Return whether a hedged attempt may start now; if so it is counted."""
        if self._hedged + 1 > self._share * self._calls:
            return False
        self._hedged += 1
        return True
