# SPDX-License-Identifier: Apache-2.0
"""The backlog: items and bytes that were acknowledged and not flattened yet, counted and bounded by key."""

from __future__ import annotations

import threading
from collections import Counter

__all__ = ["WAITING_BYTES_MAX", "Backlog"]

WAITING_BYTES_MAX = 8 << 20
"""Inflated bytes acknowledged and not yet flattened; beyond it senders are told to come again, and beyond half of
it one key is. Parsed, they take about four times as much memory; half of it keeps the tables busy for a quarter of a
second, and a sender that finds no room looks for it six times as often."""


class Backlog:
    """Counts of the backlog; several threads add, any thread reads.

    Example:
        >>> backlog = Backlog()
        >>> backlog.add("key", 3_000_000, 512)
        >>> backlog.has_room("key", 1_000_000), backlog.has_room("key", 2_000_000), backlog.has_room("other", 2_000_000)
        (True, False, True)
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self.items = 0
        self._of: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, source: str, size_bytes: int, items: int) -> None:
        """Add to the backlog, or subtract from it.

        Args:
            source: Id of the ingest key.
            size_bytes: Inflated bytes; below zero when they wait no more.
            items: Spans and log records, likewise.
        """
        with self._lock:
            self.size_bytes += size_bytes
            self.items += items
            self._of[source] += size_bytes
            if not self._of[source]:
                del self._of[source]

    @property
    def is_full(self) -> bool:
        """Whether the backlog accepts no request of any key."""
        return self.size_bytes > WAITING_BYTES_MAX

    def has_room(self, source: str, coming_bytes: int) -> bool:
        """Return whether there is room for another request of a key.

        Args:
            source: Id of the ingest key; one alone may fill half of the room.
            coming_bytes: What is being read and does not wait yet.
        """
        return (
            self.size_bytes + coming_bytes <= WAITING_BYTES_MAX
            and self._of[source] + coming_bytes <= WAITING_BYTES_MAX // 2
        )
