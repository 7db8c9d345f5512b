# SPDX-License-Identifier: Apache-2.0
"""Pending events of the run log, the file that groups of them go to, and the recorder's health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pilothouse.runtime.runlog.coding import Values, contents_of

__all__ = ["GROUP_EVENTS_MAX", "GroupFile", "Pending", "size_of"]

GROUP_EVENTS_MAX = 512
"""Events of one transaction; the sync's own duration forms the group below that. A group of so many means that more wait."""

EVENT_BYTES = 200
"""What an event without content weighs in the queue."""


class Pending(NamedTuple):
    """A pending event: it is sent to the writing process, so it holds plain values only.

    Attributes:
        run: Run id.
        values: What happened.
        call: The call it belongs to.
        tap: Where it was seen.
        at_ns: When, Unix nanoseconds.
        mono_ns: When, on the monotonic clock.
        size: What it weighs while it waits, bytes.
    """

    run: str
    values: Values
    call: str
    tap: str
    at_ns: int
    mono_ns: int
    size: int


class GroupFile(Protocol):
    """Where groups of events go: a file, or the process that has it open.

    Attributes:
        restarts: How often that process ended without being asked.
    """

    restarts: int

    def write(self, group: Sequence[Pending], lost: dict[str, int]) -> None:
        """Write events in order, all or none, and count lost ones of runs."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def size_of(values: Values) -> int:
    """Return the size of a pending event in memory, bytes: its content, and a constant for itself."""
    size = EVENT_BYTES
    for content in contents_of(values):
        size += len(content)
    return size
