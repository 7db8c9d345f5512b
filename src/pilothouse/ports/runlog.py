# SPDX-License-Identifier: Apache-2.0
"""The port of the run log: append-only events of runs, written by gateway, tools and launcher, read by replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pilothouse.core.evidence.run_log import Event, RecordedRun, RunSummary, Tap

__all__ = ["RUNS_PAGE_MAX", "RecordMode", "RunLog", "RunLogHealth"]

RUNS_PAGE_MAX = 10_000
"""Runs of one listing: a week of 1,400 a day."""


class RecordMode(StrEnum):
    """What happens to a call that cannot be recorded."""

    REQUIRED = "required"
    """It is refused before the provider is called."""
    BEST_EFFORT = "best_effort"
    """It goes on, and the gap is counted."""
    OFF = "off"
    """Nothing of it is recorded; its run says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogHealth:
    """Counters of a run log that is written.

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


@runtime_checkable
class RunLog(Protocol):
    """Events of runs, hash-chained, their content redacted, encrypted and addressed by what it is."""

    def append(
        self,
        run: str,
        event: Event,
        *,
        call: str = "",
        tap: Tap = Tap.GATEWAY,
        at_ns: int | None = None,
    ) -> None:
        """Take an event; never blocks, never awaited by a client. It is on disk after the next `flush`.

        The first event of a run must be `run.open`; further ones of it are ignored where one is there.

        Args:
            run: Run id, 32 hex digits.
            event: What happened.
            call: The call it belongs to.
            tap: Where it was seen.
            at_ns: When, Unix nanoseconds; now when None.

        Raises:
            LimitExceeded: Too much waits to be written; the event is counted as lost.
            StorageUnavailable: The log is closed.
        """
        ...

    def trouble(self) -> str | None:
        """Return why nothing can be written now, or None: asked before a call that requires a record."""
        ...

    def health(self) -> RunLogHealth:
        """Return the counters."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything appended so far is on disk.

        Raises:
            StorageUnavailable: It could not be written in that time.
        """
        ...

    def read(self, run: str) -> RecordedRun:
        """Read a run up to its last good event.

        Args:
            run: Run id, or enough of its beginning to name only one.

        Raises:
            UnknownName: There is no such run, or there are several.
        """
        ...

    def summary(self, run: str) -> RunSummary | None:
        """Return the row of a run, or None where there is none. Whether its events are whole is known by `read`.

        Args:
            run: Whole run id.
        """
        ...

    def owner(self, run: str) -> str | None:
        """Return the agent that owns a run, or None when it is unknown or cannot be read now; fast enough for a call to wait."""
        ...

    def runs(
        self,
        *,
        agent: str | None = None,
        since_ns: int = 0,
        until_ns: int | None = None,
        limit: int = RUNS_PAGE_MAX,
    ) -> Sequence[RunSummary]:
        """List runs, newest first.

        Args:
            agent: Only those of this agent.
            since_ns: Only those opened at or after, Unix nanoseconds.
            until_ns: Only those opened before.
            limit: Most of them, at most `RUNS_PAGE_MAX`.
        """
        ...

    def erase(self, subject: str) -> int:
        """Destroy the key and the content of a data subject; events stay. Return the number of runs.

        Args:
            subject: Data subject; by default each run is its own.
        """
        ...

    def sweep(self, now_ns: int, *, keep_days: int) -> int:
        """Close runs without an event for an hour as abandoned, and drop those past retention.

        Returns:
            Number of runs dropped.
        """
        ...
