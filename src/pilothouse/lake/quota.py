# SPDX-License-Identifier: Apache-2.0
"""How much one ingest key may send, so that one noisy agent cannot starve the others."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Quota", "Quotas"]

KEYS_MAX = 1_024
"""Keys that are followed at once; the one that was quiet longest is forgotten, with its debt."""

BURST_S = 10.0
"""So many seconds' worth may come at once: exporters that were cut off catch up in bursts."""

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one key may send.

    Attributes:
        items_per_s: Spans and log records a second, with a burst of ten seconds; 0 for no bound.
        bytes_per_day: Bytes on the wire in 24 hours; 0 for no bound.
    """

    items_per_s: float = 0.0
    bytes_per_day: float = 0.0


class _Bucket:
    """What a key may still send: items now, bytes for the rest of its day."""

    __slots__ = ("at_s", "bytes", "items")

    def __init__(self, at_s: float, items: float, size: float) -> None:
        self.at_s, self.items, self.bytes = at_s, items, size


class Quotas:
    """Token buckets by key. A request is let in while its key is not in debt, and may bring it into debt.

    So a request costs nothing to refuse, since it is refused before it is read, and over time a key sends what
    it may.

    Example:
        >>> now = [0.0]
        >>> quotas = Quotas(Quota(items_per_s=10), lambda: now[0])
        >>> quotas.spend("k", items=150, size=1)
        >>> quotas.wait_s("k")
        5
        >>> now[0] = 6.0
        >>> quotas.wait_s("k")
        0
    """

    def __init__(self, quota: Quota, monotonic_s: Callable[[], float]) -> None:
        self._quota = quota
        self._monotonic_s = monotonic_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def _is_open(self) -> bool:
        return not self._quota.items_per_s and not self._quota.bytes_per_day

    def wait_s(self, key: str) -> int:
        """Return in how many whole seconds the key may send again; 0 for now."""
        if self._is_open:
            return 0
        with self._lock:
            bucket = self._filled(key)
            waits = [0.0]
            if self._quota.items_per_s and bucket.items < 0:
                waits.append(-bucket.items / self._quota.items_per_s)
            if self._quota.bytes_per_day and bucket.bytes < 0:
                waits.append(-bucket.bytes / self._quota.bytes_per_day * DAY_S)
        return math.ceil(max(waits))

    def spend(self, key: str, *, items: int, size: int) -> None:
        """Charge a key for an accepted request.

        Args:
            key: The ingest key's id.
            items: Spans and log records.
            size: Bytes on the wire.
        """
        if self._is_open:
            return
        with self._lock:
            bucket = self._filled(key)
            bucket.items -= items
            bucket.bytes -= size

    def _filled(self, key: str) -> _Bucket:
        at_s = self._monotonic_s()
        burst, day = self._quota.items_per_s * BURST_S, self._quota.bytes_per_day
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(at_s, burst, day)
            if len(self._buckets) > KEYS_MAX:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(key)
        passed = at_s - bucket.at_s
        bucket.at_s = at_s
        bucket.items = min(burst, bucket.items + passed * self._quota.items_per_s)
        bucket.bytes = min(day, bucket.bytes + passed * day / DAY_S)
        return bucket
