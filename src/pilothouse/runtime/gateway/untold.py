# SPDX-License-Identifier: Apache-2.0
"""What the loop that serves has noticed and a thread is to put on record: a short queue that loses nothing while nobody can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["WAITING_MAX", "Untold"]

WAITING_MAX = 1_000
"""Things that wait to be told; while there is no room, whoever notices more notices them again with a later call."""

_Noticed = TypeVar("_Noticed")


class Untold(Generic[_Noticed]):
    """Filled by the loop, emptied by one thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: deque[_Noticed] = deque()

    @property
    def has_room(self) -> bool:
        """Whether one more may be added."""
        return len(self._waiting) < WAITING_MAX

    def add(self, one: _Noticed) -> None:
        """Add one, after a look at `has_room`."""
        self._waiting.append(one)

    def tell(self, note: Callable[[_Noticed], object]) -> None:
        """Tell what waits now, the oldest first; what cannot be told, and all behind it, waits for the next time.

        Args:
            note: Puts one on record, or raises.

        Example:
            >>> untold, told = Untold[str](), []
            >>> untold.add("a new backend")
            >>> untold.tell(told.append)
            >>> told
            ['a new backend']
        """
        for _ in range(len(self._waiting)):
            one = self._waiting.popleft()
            try:
                note(one)
            except BaseException:
                self._waiting.appendleft(one)
                raise
