# SPDX-License-Identifier: Apache-2.0
"""Leases, timers and outbox: background work that survives kill and restart and is never done by two processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.work import (
    JOBS_MAX,
    LEASE_LIFE_S,
    TIMERS_MAX,
    WORK_SCHEMA,
    Job,
    Lease,
    Timer,
    WorkChange,
)

__all__ = ["SqlWork", "apply_work", "check_fence", "jobs", "leases", "timers"]

leases = Table(
    "leases",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""Who does which background work; the fence rises with each new holder."""

timers = Table(
    "timers",
    METADATA,
    Column("key", String(256), primary_key=True),
    Column("due_us", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("schema", Integer, nullable=False),
    Column("late_s", Float, nullable=True),
    Index(None, "state", "due_us"),
)
"""What must be decided when; a fired or cancelled one keeps its row, so that its key cannot come again."""

jobs = Table(
    "jobs",
    METADATA,
    Column("key", String(256), primary_key=True),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("document", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_after_us", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("schema", Integer, nullable=False),
    Index(None, "state", "run_after_us"),
    Index(None, "subject"),
)
"""The outbox: what is to be sent, written in the transaction that decided it."""

JOBS_SHOWN_MAX = 1_000
"""Jobs about one thing in one answer: an incident pages a few people a few times."""

ERROR_CHARS_MAX = 500
"""Of an error only its beginning is kept; the rest is the other side's page of HTML."""

WAITING, FIRED, CANCELLED = "waiting", "fired", "cancelled"
READY, LEASED, DONE, DEAD = "ready", "leased", "done", "dead"


def _system_now() -> datetime:
    return datetime.now(UTC)


class SqlWork:
    """`ports.WorkStore` on the ledger.

    On PostgreSQL the database's clock is everybody's, so machines whose clocks disagree still agree on who
    holds a lease. On SQLite all processes share one machine and its clock.

    Args:
        database: The ledger.
        now: A clock for tests; None for the database's or the machine's.
        life_s: How long a silent holder keeps its lease, seconds.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] | None = None, *, life_s: float = LEASE_LIFE_S
    ) -> None:
        self._database = database
        self._given_now = now
        self._life = timedelta(seconds=life_s)

    def now(self) -> datetime:
        """Return the time of leases and timers: the database's clock where it has one."""
        if self._given_now is not None or not self._database.is_postgres:
            return (self._given_now or _system_now)()
        with self._database.read() as connection:
            return self._now(connection)

    def acquire(self, name: str, holder: str) -> Lease | None:
        """Acquire a lease that is free or expired, or renew our own; None while another holder has it."""
        with self._database.write_no_news() as connection:
            now = self._now(connection)
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).first()
            lease = Lease(
                name=name, holder=holder, fence=_next_fence(row, holder), expires_at=now + self._life
            )
            values = {"holder": holder, "fence": lease.fence, "expires_us": to_micros(lease.expires_at)}
            if row is None:
                # A second process that finds no row either waits here for the first and then fails on the key.
                connection.execute(insert(leases).values(name=name, **values))
                return lease
            # A heartbeat from further ahead than any holder may write was made before the clock went back.
            silent = not now <= from_micros(row.expires_us) <= now + self._life
            if row.holder != holder and not silent:
                return None
            connection.execute(update(leases).where(leases.c.name == name).values(**values))
        return lease

    def release(self, lease: Lease) -> None:
        """Release a lease; releasing a lost one changes nothing."""
        with self._database.write() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.name == lease.name, leases.c.fence == lease.fence)
                .values(expires_us=0)
            )

    def due(self, kinds: Sequence[str], *, limit: int = TIMERS_MAX) -> Sequence[Timer]:
        """Return due timers, earliest first; kinds and schemas that this program does not know are skipped."""
        if not 1 <= limit <= TIMERS_MAX:
            raise LimitExceeded(
                f"{limit} timers asked for at once, 1 to {TIMERS_MAX} are given",
                remedy=f"Ask with a limit of at most {TIMERS_MAX}.",
                subject="timers",
            )
        with self._database.read() as connection:
            rows = connection.execute(
                select(timers)
                .where(_known_timers(kinds), timers.c.due_us <= to_micros(self._now(connection)))
                .order_by(timers.c.due_us, timers.c.key)
                .limit(limit)
            ).all()
        return tuple(_timer(row) for row in rows)

    def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next timer is due or the next job may run; None when nothing is pending."""
        with self._database.read() as connection:
            timer = connection.execute(select(func.min(timers.c.due_us)).where(_known_timers(kinds))).scalar()
            job = connection.execute(
                select(func.min(jobs.c.run_after_us)).where(jobs.c.state == READY)
            ).scalar()
        found = [one for one in (timer, job) if one is not None]
        return from_micros(min(found)) if found else None

    def commit(self, lease: Lease | None, change: WorkChange) -> None:
        """Apply a change on its own, in its own transaction."""
        with self._database.write() as connection:
            check_fence(connection, lease)
            apply_work(connection, change, now=self._now(connection))

    def claim(self, lease: Lease, actions: Sequence[str], *, limit: int = JOBS_MAX) -> Sequence[Job]:
        """Claim ready jobs, and jobs claimed under an earlier lease."""
        with self._database.write() as connection:
            check_fence(connection, lease)
            now_us = to_micros(self._now(connection))
            rows = connection.execute(
                select(jobs)
                .where(
                    jobs.c.action.in_(actions),
                    jobs.c.schema <= WORK_SCHEMA,
                    or_(
                        and_(jobs.c.state == READY, jobs.c.run_after_us <= now_us),
                        and_(jobs.c.state == LEASED, jobs.c.fence != lease.fence),
                    ),
                )
                .order_by(jobs.c.run_after_us, jobs.c.key)
                .limit(limit)
            ).all()
            for row in rows:
                connection.execute(
                    update(jobs)
                    .where(jobs.c.key == row.key)
                    .values(state=LEASED, fence=lease.fence, attempts=row.attempts + 1)
                )
        return tuple(_job(row, state=LEASED, attempts=row.attempts + 1) for row in rows)

    def retry(self, lease: Lease, key: str, *, run_after: datetime, error: str) -> None:
        """Return a claimed job to the queue for a retry."""
        with self._database.write() as connection:
            check_fence(connection, lease)
            connection.execute(
                update(jobs)
                .where(jobs.c.key == key, jobs.c.state == LEASED)
                .values(state=READY, run_after_us=to_micros(run_after), last_error=error[:ERROR_CHARS_MAX])
            )

    def jobs(self, subject: str) -> Sequence[Job]:
        """Return the jobs of a subject, oldest first, at most 1,000."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(jobs)
                .where(jobs.c.subject == subject)
                .order_by(jobs.c.run_after_us, jobs.c.key)
                .limit(JOBS_SHOWN_MAX)
            ).all()
        return tuple(_job(row) for row in rows)

    def lateness(self, *, limit: int = 1_000) -> Sequence[float]:
        """Return how many seconds late the last timers fired, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(timers.c.late_s)
                .where(timers.c.state == FIRED)
                .order_by(timers.c.due_us.desc())
                .limit(limit)
            ).all()
        return tuple(row.late_s for row in rows)

    def _now(self, connection: Connection) -> datetime:
        if self._given_now is not None or not self._database.is_postgres:
            return (self._given_now or _system_now)()
        moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return moment.astimezone(UTC)


def check_fence(connection: Connection, lease: Lease | None) -> None:
    """Raise for a stale fencing token: another holder has taken over the lease.

    Args:
        connection: The transaction; the lease's row stays locked until its end.
        lease: The lease under which is written, or None for a person's own decision.

    Raises:
        Conflict: The lease is lost.
    """
    if lease is None:
        return
    row = connection.execute(
        select(leases.c.fence, leases.c.holder).where(leases.c.name == lease.name).with_for_update()
    ).first()
    if row is None or row.fence != lease.fence or row.holder != lease.holder:
        raise Conflict(
            f"the lease {lease.name!r} was taken over by another process; nothing was written",
            remedy="Nothing to do: the other process goes on. `pilothouse doctor` shows who runs.",
            subject=lease.name,
        )


def apply_work(connection: Connection, change: WorkChange, *, now: datetime) -> None:
    """Apply a change of the background work inside the transaction of the decision that asked for it.

    Args:
        connection: The transaction.
        change: What to set, cancel, send and end.
        now: The moment, aware UTC.

    Raises:
        Conflict: The timer that led here was fired or cancelled by somebody else.
    """
    if change.fired is not None:
        _fire(connection, change.fired, now)
    for timer in change.timers:
        if not _exists(connection, timers, timer.key):
            connection.execute(
                insert(timers).values(
                    key=timer.key,
                    due_us=to_micros(timer.due_at),
                    kind=timer.kind,
                    subject=timer.subject,
                    state=WAITING,
                    schema=timer.schema,
                )
            )
    if change.cancelled:
        connection.execute(
            update(timers)
            .where(timers.c.key.in_(change.cancelled), timers.c.state == WAITING)
            .values(state=CANCELLED)
        )
    for job in change.jobs:
        if not _exists(connection, jobs, job.key):
            connection.execute(insert(jobs).values(**_job_values(job)))
    if change.finished:
        connection.execute(
            update(jobs).where(jobs.c.key.in_(change.finished)).values(state=DONE, last_error="")
        )
    for key, error in change.dead:
        connection.execute(
            update(jobs).where(jobs.c.key == key).values(state=DEAD, last_error=error[:ERROR_CHARS_MAX])
        )


def _fire(connection: Connection, key: str, now: datetime) -> None:
    due_us = connection.execute(
        select(timers.c.due_us).where(timers.c.key == key, timers.c.state == WAITING).with_for_update()
    ).scalar()
    if due_us is None:
        raise Conflict(
            f"the timer {key!r} does not wait any more; nothing was written",
            remedy="Nothing to do: it was fired or cancelled by somebody else.",
            subject=key,
        )
    late_s = max(0.0, (to_micros(now) - due_us) / 1_000_000)
    connection.execute(update(timers).where(timers.c.key == key).values(state=FIRED, late_s=late_s))


def _exists(connection: Connection, table: Table, key: str) -> bool:
    return connection.execute(select(table.c.key).where(table.c.key == key)).first() is not None


def _known_timers(kinds: Sequence[str]) -> Any:
    return and_(timers.c.state == WAITING, timers.c.kind.in_(kinds), timers.c.schema <= WORK_SCHEMA)


def _next_fence(row: Row[Any] | None, holder: str) -> int:
    if row is None:
        return 1
    return int(row.fence) if row.holder == holder else int(row.fence) + 1


def _timer(row: Row[Any]) -> Timer:
    return Timer(
        key=row.key, due_at=from_micros(row.due_us), kind=row.kind, subject=row.subject, schema=row.schema
    )


def _job(row: Row[Any], **changed: Any) -> Job:
    fields = {
        "key": row.key,
        "action": row.action,
        "subject": row.subject,
        "document": row.document,
        "run_after": from_micros(row.run_after_us),
        "attempts": row.attempts,
        "state": row.state,
        "last_error": row.last_error,
        "schema": row.schema,
    }
    return Job(**{**fields, **changed})


def _job_values(job: Job) -> dict[str, Any]:
    return {
        "key": job.key,
        "action": job.action,
        "subject": job.subject,
        "document": job.document,
        "state": job.state,
        "run_after_us": to_micros(job.run_after),
        "fence": 0,
        "attempts": job.attempts,
        "last_error": job.last_error,
        "schema": job.schema,
    }
