# SPDX-License-Identifier: Apache-2.0
"""Deadlines: the moment after which nobody waits for an answer; nested calls inherit the earlier one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["NEVER", "Deadline", "inherited_deadline", "under_deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock.

    Attributes:
        at_s: Monotonic seconds; infinity for none.

    Example:
        >>> Deadline(12.0).earlier(Deadline(10.0)).left_s(9.5)
        0.5
    """

    at_s: float

    @classmethod
    def after(cls, now_s: float, budget_s: float) -> Deadline:
        """Return the deadline that lies `budget_s` after `now_s`.

        Raises:
            ValueError: The budget is no time.
        """
        if not budget_s > 0:
            raise ValueError(f"a deadline of {budget_s} s leaves nothing to do")
        return cls(now_s + budget_s)

    def left_s(self, now_s: float) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self.at_s - now_s)

    def earlier(self, other: Deadline) -> Deadline:
        """Return the earlier of two deadlines."""
        return self if self.at_s <= other.at_s else other


NEVER = Deadline(math.inf)
"""No deadline."""

_CURRENT: ContextVar[Deadline] = ContextVar("pilothouse_deadline", default=NEVER)


def inherited_deadline() -> Deadline:
    """Return the deadline that the caller is under."""
    return _CURRENT.get()


@contextmanager
def under_deadline(deadline: Deadline) -> Iterator[Deadline]:
    """Put everything inside under a deadline; one that is already earlier stays.

    Args:
        deadline: The deadline asked for.

    Yields:
        The one in force.
    """
    chosen = deadline.earlier(_CURRENT.get())
    token = _CURRENT.set(chosen)
    try:
        yield chosen
    finally:
        _CURRENT.reset(token)
