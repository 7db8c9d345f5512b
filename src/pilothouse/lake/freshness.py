# SPDX-License-Identifier: Apache-2.0
"""Freshness: the longest time of the last minute from receipt until queries see the data."""

from __future__ import annotations

__all__ = ["Freshness"]

BUCKET_NS = 30 * 1_000_000_000
"""Two of these make the minute."""


class Freshness:
    """Latencies from receipt to visibility; one thread writes, any thread reads.

    Example:
        >>> freshness = Freshness()
        >>> freshness.note_received(1_000_000_000)
        >>> freshness.note_visible(1_250_000_000)
        >>> freshness.longest_s(2_000_000_000)
        0.25
    """

    def __init__(self) -> None:
        self._oldest_ns: int | None = None
        self._buckets: tuple[tuple[int, int], ...] = ()

    def note_received(self, received_ns: int) -> None:
        """Note that data was received and is not visible to queries yet.

        Args:
            received_ns: When it was received, Unix nanoseconds.
        """
        if self._oldest_ns is None:
            self._oldest_ns = received_ns

    def note_visible(self, now_ns: int) -> None:
        """Note that queries see everything received so far."""
        if self._oldest_ns is None:
            return
        lag, bucket = max(0, now_ns - self._oldest_ns), now_ns // BUCKET_NS
        self._oldest_ns = None
        known = dict(self._buckets)
        known[bucket] = max(lag, known.get(bucket, 0))
        self._buckets = tuple((number, worst) for number, worst in known.items() if number >= bucket - 1)

    def longest_s(self, now_ns: int) -> float:
        """Return the longest latency of the last minute in seconds, data that is not visible yet included."""
        oldest = self._oldest_ns
        recent = [worst for number, worst in self._buckets if number >= now_ns // BUCKET_NS - 1]
        return max([0 if oldest is None else now_ns - oldest, *recent]) / 1e9
