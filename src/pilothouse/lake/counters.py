# SPDX-License-Identifier: Apache-2.0
"""Counters of what arrived and what became of it, with which the product proves that it loses nothing."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

__all__ = ["Counters", "Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment, in items unless the name says otherwise; by name."""

    values: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)


class Counters:
    """Whole numbers by name, added to by several threads."""

    def __init__(self) -> None:
        self._values: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, amount: int = 1) -> None:
        """Add to one counter."""
        with self._lock:
            self._values[name] += amount

    def read(self) -> Reading:
        """Return all counters as they are now."""
        with self._lock:
            return Reading(dict(self._values))
