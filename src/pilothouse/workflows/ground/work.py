# SPDX-License-Identifier: Apache-2.0
"""The worker: fires timers and sends the outbox under one lease, so that two processes never do a thing twice."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from pilothouse.errors import Conflict, PilothouseError
from pilothouse.ports.work import JOBS_MAX, Job, Lease, Timer, WorkStore

__all__ = [
    "BACKOFF_S",
    "CLOCK_JUMP_S",
    "HEARTBEAT_S",
    "LEASE_NAME",
    "POLL_S",
    "Courier",
    "Delivery",
    "Worker",
    "new_holder",
    "retry_at",
]

LEASE_NAME = "work"
"""The one lease of the background work; whoever has it fires every timer and sends every page."""

HEARTBEAT_S = 2.0
"""Five beats in the life of a lease: four may be lost before another process takes over."""

POLL_S = 1.0
"""Longest sleep: a timer that another process set is noticed this late."""

CLOCK_JUMP_S = 5.0
"""Wall clock against monotonic clock: a difference beyond this is an event that a person should know of."""

SENDERS = 8
"""Threads that wait for the other side; a slow webhook holds one of them for at most its time-out."""

BACKOFF_S = (5.0, 15.0, 30.0, 60.0)
"""Pauses between tries of a job; after the last one it is dead, and whoever waits for it is told."""

FAILED_TIMER_PAUSE_S = 10.0
"""A timer whose decision failed is tried again this much later; it never stops the others."""

FAILED_SETTLE_PAUSE_S = 2.0
"""What came of a job and could not be written is written this much later: a pause that was not made waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of one try.

    Attributes:
        ok: Whether the other side took it.
        said: What it said, or by which way it went.
        final: Whether another try cannot help.
        needed: False when nothing was sent, because what it was about is over.
    """

    ok: bool
    said: str
    final: bool = False
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Who does one kind of job.

    Attributes:
        send: Reaches outside; may be called again with the same job, and must not raise our errors away.
        settle: Writes down what came of it, under the lease, with the job finished, given up or retried.
    """

    send: Callable[[Job], Delivery]
    settle: Callable[[Job, Delivery, Lease], None]


def new_holder() -> str:
    """Return a name for one run of this process that no other run ever has."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"


def retry_at(job: Job, now: datetime) -> datetime | None:
    """Return when a job that failed is tried again, or None when it is to be given up.

    Args:
        job: The job, its attempts counted.
        now: The moment, aware UTC.

    Example:
        >>> from datetime import UTC
        >>> at = datetime(2026, 11, 20, tzinfo=UTC)
        >>> job = Job(key="k", action="page", subject="s", document="", run_after=at, attempts=1)
        >>> (retry_at(job, at) - at).total_seconds()
        5.0
    """
    tries = job.attempts - 1
    return now + timedelta(seconds=BACKOFF_S[tries]) if tries < len(BACKOFF_S) else None


class Worker:
    """Runs until stopped; one of any number of processes holds the lease and works, the others wait to take over.

    Args:
        store: Leases, timers and jobs.
        timers: Decision for each kind of timer; it commits under the lease, with the timer fired by it.
        couriers: Who does each kind of job.
        holder: Name of this run of the process.
        on_note: Told in one sentence what a person should know; must not raise.
        on_point: Told the name of each point at which a kill is interesting; the tests' door.
    """

    def __init__(
        self,
        store: WorkStore,
        *,
        timers: Mapping[str, Callable[[Timer, Lease], None]],
        couriers: Mapping[str, Courier],
        holder: str | None = None,
        on_note: Callable[[str], None] = lambda _text: None,
        on_point: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._store = store
        self._timers = dict(timers)
        self._couriers = dict(couriers)
        self.holder = holder or new_holder()
        self._on_note = on_note
        self._at = on_point
        self._lease: Lease | None = None
        self._flying = 0
        self._flying_lock = threading.Lock()
        self._unsettled: deque[tuple[float, Job, Delivery, Lease]] = deque()
        self._paused_until: dict[str, float] = {}
        self._last_said: dict[str, str] = {}
        self._clock_offset: float | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="pilothouse-send")
        self._beating = threading.Thread(target=self._beat_loop, name="pilothouse-heartbeat", daemon=True)
        self._working = threading.Thread(target=self._work_loop, name="pilothouse-work", daemon=True)

    @property
    def lease(self) -> Lease | None:
        """The lease as this process last saw it: None while another one works."""
        return self._lease

    def start(self) -> None:
        """Start working in the background."""
        self._beating.start()
        self._working.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish what is in hand, give the lease back and end."""
        self._stop.set()
        self._wake.set()
        if self._working.is_alive():
            self._working.join(timeout_s)
        self._senders.shutdown(wait=True, cancel_futures=True)
        # Until the last page is sent the lease is ours, or another process would send it as well.
        self._ended.set()
        if self._beating.is_alive():
            self._beating.join(timeout_s)
        if self._lease is not None:
            self._quietly("release", partial(self._store.release, self._lease))
            self._lease = None

    def beat(self) -> Lease | None:
        """Take or renew the lease; None while another process has it."""
        self._at("beat:before")
        self._lease = self._store.acquire(LEASE_NAME, self.holder)
        self._at("beat:after")
        return self._lease

    def tick(self) -> int:
        """Fire what is due and begin to send what is ready; return how much there was to do."""
        lease = self._lease or self.beat()
        if lease is None:
            return 0
        return self._fire_due(lease) + self._settle_left(lease) + self._send_ready(lease)

    def settle_all(self, timeout_s: float = 30.0) -> None:
        """Wait until nothing is being sent: for commands and tests that tick by hand."""
        end = time.monotonic() + timeout_s
        while self._flying and time.monotonic() < end:
            time.sleep(0.005)

    def _fire_due(self, lease: Lease) -> int:
        fired = 0
        for timer in self._store.due(tuple(self._timers)):
            if self._paused_until.get(timer.key, 0.0) > time.monotonic():
                continue
            self._at("fire:before")
            try:
                self._timers[timer.kind](timer, lease)
            except Conflict as error:
                if error.subject == LEASE_NAME:
                    self._lease = None
                    return fired
            except Exception as error:  # noqa: BLE001 - one broken decision must not silence all other pages
                self._paused_until[timer.key] = time.monotonic() + FAILED_TIMER_PAUSE_S
                self._say(
                    timer.key,
                    f"timer {timer.key}: {getattr(error, 'message', None) or type(error).__name__}",
                )
            else:
                fired += 1
                self._paused_until.pop(timer.key, None)
            self._at("fire:after")
        return fired

    def _send_ready(self, lease: Lease) -> int:
        room = JOBS_MAX - self._flying - len(self._unsettled)
        if room <= 0:
            return 0
        self._at("claim:before")
        try:
            claimed = self._store.claim(lease, tuple(self._couriers), limit=room)
        except Conflict:
            self._lease = None
            return 0
        self._at("claim:after")
        for job in claimed:
            with self._flying_lock:
                self._flying += 1
            self._senders.submit(self._send, job, lease)
        return len(claimed)

    def _send(self, job: Job, lease: Lease) -> None:
        courier = self._couriers[job.action]
        try:
            self._at("send:before")
            try:
                delivery = courier.send(job)
            except Exception as error:  # noqa: BLE001 - whatever a channel raises is a failed try, never a lost page
                delivery = Delivery(ok=False, said=getattr(error, "message", None) or repr(error))
            self._at("send:after")
            self._settle(job, delivery, lease)
            self._at("settle:after")
        finally:
            with self._flying_lock:
                self._flying -= 1
            self._wake.set()

    def _settle(self, job: Job, delivery: Delivery, lease: Lease) -> None:
        """Write down what came of a job; what cannot be written is kept, for nobody else takes a job that we have."""
        settle = self._couriers[job.action].settle
        if not self._quietly(job.key, lambda: settle(job, delivery, lease)):
            self._unsettled.append((time.monotonic() + FAILED_SETTLE_PAUSE_S, job, delivery, lease))

    def _settle_left(self, lease: Lease) -> int:
        """Write down what could not be written before; who took over meanwhile has sent it again."""
        settled = 0
        for _ in range(len(self._unsettled)):
            again_s, job, delivery, held = self._unsettled.popleft()
            if again_s > time.monotonic():
                self._unsettled.append((again_s, job, delivery, held))
            elif held.fence == lease.fence:
                self._settle(job, delivery, held)
                settled += 1
        return settled

    def _beat_loop(self) -> None:
        while not self._ended.is_set():
            had = self._lease
            if not self._quietly("heartbeat", self.beat):
                self._lease = None
            if had is None and self._lease is not None:
                self._wake.set()
            self._watch_clock()
            self._ended.wait(HEARTBEAT_S)

    def _work_loop(self) -> None:
        while not self._stop.is_set():
            pause = POLL_S
            if self._lease is not None:
                self._wake.clear()
                if self._quietly("work", self.tick):
                    pause = self._pause()
            self._wake.wait(pause)

    def _pause(self) -> float:
        try:
            due = self._store.next_due(tuple(self._timers))
            left = POLL_S if due is None else (due - self._store.now()).total_seconds()
        except PilothouseError:
            return POLL_S
        # What is overdue and still waits was tried just now and failed: no busy loop around it.
        return min(POLL_S, left) if left > 0 else min(POLL_S, 0.25)

    def _watch_clock(self) -> None:
        offset = time.time() - time.monotonic()
        before, self._clock_offset = self._clock_offset, offset
        if before is not None and abs(offset - before) > CLOCK_JUMP_S:
            self._on_note(
                f"the machine's clock jumped by {offset - before:+.0f} s; timers are due by the new time, "
                "none fires twice."
            )

    def _quietly(self, name: str, act: Callable[[], object]) -> bool:
        try:
            act()
        except Conflict as error:
            # A lease that is lost leaves nothing to do; whatever else somebody was quicker at is to be done again.
            return name != "heartbeat" and error.subject == LEASE_NAME
        except PilothouseError as error:
            self._say(name, f"background work, {name}: {error.message}")
            return False
        except Exception as error:  # noqa: BLE001 - the thread of all pages must not die of one bug
            self._say(name, f"background work, {name}: {error!r}")
            return False
        self._last_said.pop(name, None)
        return True

    def _say(self, name: str, sentence: str) -> None:
        if self._last_said.get(name) != sentence:
            self._last_said[name] = sentence
            self._on_note(sentence)
