# SPDX-License-Identifier: Apache-2.0
"""Bulkhead: limits the concurrent and the waiting calls of a system, so that one slow system cannot take every thread."""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, TypeVar

__all__ = ["Bulkhead"]

Waiter = TypeVar("Waiter")


class Bulkhead(Generic[Waiter]):
    """Slots with a bounded FIFO queue; a released slot goes to the first waiter.

    Args:
        slots: Calls at once, at least 1.
        line: Calls that may wait.

    Raises:
        ValueError: There is no slot.

    Example:
        >>> bulkhead = Bulkhead[str](slots=1, line=1)
        >>> bulkhead.enter("a"), bulkhead.enter("b"), bulkhead.enter("c"), bulkhead.leave(), bulkhead.leave()
        ('in', 'waits', 'full', 'b', None)
    """

    def __init__(self, *, slots: int, line: int) -> None:
        if slots < 1 or line < 0:
            raise ValueError(f"a bulkhead of {slots} slots and a line of {line} lets nobody in")
        self._slots = slots
        self._line = line
        self._inside = 0
        self._waiting: deque[Waiter] = deque()

    @property
    def inside(self) -> int:
        """Slots in use."""
        return self._inside

    def enter(self, waiter: Waiter) -> Literal["in", "waits", "full"]:
        """Ask for a slot; a waiter is given one by a later `leave`."""
        if self._inside < self._slots:
            self._inside += 1
            return "in"
        if len(self._waiting) >= self._line:
            return "full"
        self._waiting.append(waiter)
        return "waits"

    def leave(self) -> Waiter | None:
        """Release a slot; return the waiter that it was handed to, or None."""
        if self._waiting:
            return self._waiting.popleft()
        self._inside -= 1
        return None

    def give_up(self, waiter: Waiter) -> bool:
        """Stop waiting; False when the slot was handed over meanwhile and must be released."""
        try:
            self._waiting.remove(waiter)
        except ValueError:
            return False
        return True
