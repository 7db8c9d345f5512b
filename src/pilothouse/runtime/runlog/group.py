# SPDX-License-Identifier: Apache-2.0
"""What waits to be written into the run log, where groups of it go, and what has become of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pilothouse.runtime.runlog.coding import Values, contents_of

__all__ = ["GROUP_EVENTS_MAX", "GroupFile", "Pending", "RecorderHealth", "size_of"]

GROUP_EVENTS_MAX = 512
"""Events of one transaction; the sync's own duration forms the group below that. A group of so many means that more wait."""

EVENT_BYTES = 200
"""What an event without content weighs in the queue."""


class Pending(NamedTuple):
    """An event that waits to be written: what goes to the process that writes, so it is plain values.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderHealth:
    """Counters of the run log.

    Attributes:
        written: Events on disk.
        lost: Events that could not be written.
        waiting: Events not on disk yet.
        trouble: Why nothing can be written now, or None.
        restarts: How often the process that writes ended without being asked.
    """

    written: int
    lost: int
    waiting: int
    trouble: str | None
    restarts: int


def size_of(values: Values) -> int:
    """Return what an event weighs while it waits, bytes: its content, and something for itself."""
    size = EVENT_BYTES
    for content in contents_of(values):
        size += len(content)
    return size
