# SPDX-License-Identifier: Apache-2.0
"""The port of durable background work: one lease with a fence, timers, and an outbox of things to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = [
    "JOBS_MAX",
    "LEASE_LIFE_S",
    "TIMERS_MAX",
    "WORK_SCHEMA",
    "Job",
    "JobState",
    "Lease",
    "TickState",
    "Timer",
    "WorkChange",
    "WorkStore",
]

LEASE_LIFE_S = 10.0
"""How long a silent holder keeps its lease; with a look every 2 seconds another one takes over within 15."""

WORK_SCHEMA = 1
"""Form of the documents of timers and jobs; a row with a larger one was written by a newer program."""

TIMERS_MAX = 100
"""Timers fired in one tick; at one commit each well under a second."""

JOBS_MAX = 16
"""Jobs claimed at once, two for each sending thread; the rest stays ready for whoever is next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickState:
    """The health of one piece of recurring work.

    Attributes:
        name: Its name.
        runs: Runs so far.
        failures: Failures since the last success.
        last_error: What the last failure said, or empty.
    """

    name: str
    runs: int = 0
    failures: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to do one kind of background work.

    Attributes:
        name: What it is for.
        holder: Who has it: one run of one process.
        fence: Rises whenever the holder changes; every write under the lease compares it.
        expires_at: When it may be taken from a holder that fell silent, aware UTC.
    """

    name: str
    holder: str
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A moment at which something must be decided. The stored row is authoritative; the tick only wakes it.

    Attributes:
        key: Unique for ever: a timer that fired cannot be set again.
        due_at: When, aware UTC; business hours are resolved before it is set.
        kind: Which decision.
        subject: What about, for example an incident id.
        schema: Form of the row.
    """

    key: str
    due_at: datetime
    kind: str
    subject: str
    schema: int = WORK_SCHEMA


JobState = str
"""`ready`, `leased`, `done` or `dead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An action in the outside world, executed at least once, with an idempotency key.

    Attributes:
        key: Unique for ever; sent along as the idempotency key.
        action: Which executor does it.
        subject: What about.
        document: JSON text with everything the executor needs.
        run_after: Not before this moment, aware UTC.
        attempts: Tries that began so far.
        state: `ready`, `leased`, `done` or `dead`.
        last_error: What the last try said, or empty.
        schema: Form of the document.
    """

    key: str
    action: str
    subject: str
    document: str
    run_after: datetime
    attempts: int = 0
    state: JobState = "ready"
    last_error: str = ""
    schema: int = WORK_SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkChange:
    """Changes to the background work that are applied in the transaction of a decision.

    Attributes:
        timers: Timers to set; a key that exists stays as it is.
        cancelled: Keys of timers that must not fire any more.
        jobs: Jobs for the outbox; a key that exists stays as it is.
        fired: Key of the timer that led to this decision: it must still wait, and is fired by it.
        finished: Keys of jobs that led to this decision: they are done by it.
        dead: Keys of jobs that led to this decision and are given up, with what was said last.
    """

    timers: tuple[Timer, ...] = ()
    cancelled: tuple[str, ...] = ()
    jobs: tuple[Job, ...] = ()
    fired: str | None = None
    finished: tuple[str, ...] = ()
    dead: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class WorkStore(Protocol):
    """Leases, timers and jobs; every method is one transaction."""

    def acquire(self, name: str, holder: str) -> Lease | None:
        """Acquire a lease that is free or expired, or renew our own; None while another holder has it."""
        ...

    def release(self, lease: Lease) -> None:
        """Release a lease; releasing a lost one changes nothing."""
        ...

    def now(self) -> datetime:
        """Return the time of leases and timers: the database's clock where it has one."""
        ...

    def due(self, kinds: Sequence[str], *, limit: int = TIMERS_MAX) -> Sequence[Timer]:
        """Return due timers, earliest first; kinds and schemas that this program does not know are skipped."""
        ...

    def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next timer is due or the next job may run; None when nothing is pending."""
        ...

    def commit(self, lease: Lease | None, change: WorkChange) -> None:
        """Apply a change on its own, in its own transaction.

        Raises:
            Conflict: The lease is lost, or the fired timer was fired or cancelled by somebody else.
        """
        ...

    def claim(self, lease: Lease, actions: Sequence[str], *, limit: int = JOBS_MAX) -> Sequence[Job]:
        """Claim ready jobs, and jobs claimed under an earlier lease.

        Raises:
            Conflict: The lease is lost.
        """
        ...

    def retry(self, lease: Lease, key: str, *, run_after: datetime, error: str) -> None:
        """Return a claimed job to the queue for a retry.

        Raises:
            Conflict: The lease is lost.
        """
        ...

    def jobs(self, subject: str) -> Sequence[Job]:
        """Return the jobs of a subject, oldest first, at most 1,000."""
        ...

    def lateness(self, *, limit: int = 1_000) -> Sequence[float]:
        """Return how many seconds late the last timers fired, newest first."""
        ...
