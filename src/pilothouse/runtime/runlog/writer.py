# SPDX-License-Identifier: Apache-2.0
"""The writing side of the run log: a bounded queue, one thread, one sync for each group of events.

Appending never waits. What cannot be written is counted, both in the health of the log and at its run.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pilothouse.core.evidence.run_log import Event, Tap
from pilothouse.errors import LimitExceeded, StorageUnavailable
from pilothouse.ports.runlog import RunLogHealth
from pilothouse.runtime.runlog.coding import values_of
from pilothouse.runtime.runlog.group import GROUP_EVENTS_MAX, GroupFile, Pending, size_of

__all__ = ["Writer"]

WAITING_BYTES_MAX = 64 << 20
"""Content that may wait to be written: two of the largest bodies, or seconds of ordinary traffic."""

WAITING_EVENTS_MAX = 65_536
"""Events that may wait: at 2 of each call, ten seconds of the busiest gateway."""

GROUP_BYTES_MAX = 4 << 20
"""Content of one transaction, beyond which no further event joins: what a group costs in memory, several times over."""

DISK_FREE_BYTES_MIN = 256 << 20
"""Below it nothing is recorded: the ledger on the same disk must still be able to write."""

GATHER_S = 0.05
"""How long the first event of a group waits for others: a transaction costs as much as ten events, and nobody awaits it."""

TRY_AGAIN_S = 0.5
"""How often a log that cannot be written tries again."""

DISK_LOOK_EVERY_S = 1.0

DISK_FULL = f"less than {DISK_FREE_BYTES_MIN >> 20} MiB are free on the disk of the run log"


@dataclass(slots=True)
class _Flush:
    """Asks the writer to say when everything before it is on disk."""

    done: threading.Event


class Writer:
    """Takes events and writes them.

    Args:
        folder: Whose disk must have room.
        file: Where groups of events go; closed with this.
        wall_ns: Wall clock, Unix nanoseconds.
        mono_ns: Monotonic clock, nanoseconds.
        disk_free: Free bytes at a path.
    """

    def __init__(
        self,
        folder: Path,
        file: GroupFile,
        *,
        wall_ns: Callable[[], int],
        mono_ns: Callable[[], int],
        disk_free: Callable[[Path], int],
    ) -> None:
        self._folder = folder
        self._file = file
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns
        self._disk_free = disk_free
        self._queue: queue.SimpleQueue[Pending | _Flush | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self._waiting = 0
        self._waiting_bytes = 0
        self._written = 0
        self._lost = 0
        self._lost_by_run: dict[str, int] = {}
        self._trouble: str | None = None
        self._disk_looked = 0.0
        self._closed = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pilothouse-runlog", daemon=True)
        self._thread.start()

    def append(
        self,
        run: str,
        event: Event,
        *,
        call: str = "",
        tap: Tap = Tap.GATEWAY,
        at_ns: int | None = None,
    ) -> None:
        """Take an event; see `pilothouse.ports.runlog.RunLog.append`.

        Raises:
            LimitExceeded: Too much waits to be written.
            StorageUnavailable: The log is closed.
        """
        if self._closed:
            raise StorageUnavailable(
                "the run log is closed", remedy="Start the server again: `pilothouse up`"
            )
        values = values_of(event)
        size = size_of(values)
        with self._counting:
            full = (
                self._waiting >= WAITING_EVENTS_MAX or self._waiting_bytes + size > WAITING_BYTES_MAX
            ) and self._waiting > 0
            if full:
                self._count_lost(run)
            else:
                self._waiting += 1
                self._waiting_bytes += size
        if full:
            raise LimitExceeded(
                f"{WAITING_EVENTS_MAX} events or {WAITING_BYTES_MAX} bytes wait to be written to the run log",
                remedy="Look at the disk: `pilothouse doctor`",
                subject=run,
            )
        self._queue.put(
            Pending(
                run,
                values,
                call,
                str(tap),
                self._wall_ns() if at_ns is None else at_ns,
                self._mono_ns(),
                size,
            )
        )

    def trouble(self) -> str | None:
        """Return why nothing can be written now, or None."""
        if self._waiting >= WAITING_EVENTS_MAX or self._waiting_bytes >= WAITING_BYTES_MAX:
            return "too much waits to be written"
        return self._trouble

    def health(self) -> RunLogHealth:
        """Return the counters."""
        with self._counting:
            return RunLogHealth(
                written=self._written,
                lost=self._lost,
                waiting=self._waiting,
                trouble=self.trouble(),
                restarts=self._file.restarts,
            )

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything appended so far is on disk.

        Raises:
            StorageUnavailable: It could not be written in that time.
        """
        flush = _Flush(threading.Event())
        lost = self._lost
        self._queue.put(flush)
        self._hurry.set()
        if not flush.done.wait(timeout_s) or self._lost > lost:
            raise StorageUnavailable(
                f"the run log was not written within {timeout_s:g} s: {self._trouble or 'the disk is slow'}",
                remedy="It is safe to repeat. Look at the disk: `pilothouse doctor`",
            )

    def close(self) -> None:
        """Write what waits and close."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(10.0)
        self._file.close()

    def _work(self) -> None:
        """Write groups until closed; runs in the writing thread."""
        while True:
            try:
                first = self._queue.get(timeout=TRY_AGAIN_S)
            except queue.Empty:
                self._look_at_disk()
                continue
            if self._queue.qsize() < GROUP_EVENTS_MAX:  # a group that is full already waits for nobody
                self._hurry.wait(GATHER_S)
            self._hurry.clear()
            group, flushes, closing = self._gather(first)
            if group:
                self._write(group)
            for flush in flushes:
                flush.done.set()
            if closing:
                return

    def _gather(self, first: Pending | _Flush | None) -> tuple[list[Pending], list[_Flush], bool]:
        group: list[Pending] = []
        flushes: list[_Flush] = []
        item: Pending | _Flush | None = first
        size = 0
        while True:
            if item is None:
                return group, flushes, True
            if isinstance(item, _Flush):
                flushes.append(item)
            else:
                group.append(item)
                size += item.size
            if len(group) >= GROUP_EVENTS_MAX or size >= GROUP_BYTES_MAX:
                return group, flushes, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, flushes, False

    def _write(self, group: list[Pending]) -> None:
        self._look_at_disk()
        lost: dict[str, int] = {}
        with self._counting:
            lost, self._lost_by_run = self._lost_by_run, {}
        done = 0
        if self._trouble != DISK_FULL:
            try:
                self._file.write(group, lost)
                self._trouble = None
                done = len(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on and the gap is counted
                self._trouble = f"{type(error).__name__}: {error}"
        with self._counting:
            self._waiting -= len(group)
            self._waiting_bytes -= sum(pending.size for pending in group)
            self._written += done
            if not done:
                for run, count in lost.items():
                    self._lost_by_run[run] = self._lost_by_run.get(run, 0) + count
                for pending in group:
                    self._count_lost(pending.run)

    def _count_lost(self, run: str) -> None:
        self._lost += 1
        if len(self._lost_by_run) < WAITING_EVENTS_MAX or run in self._lost_by_run:
            self._lost_by_run[run] = self._lost_by_run.get(run, 0) + 1

    def _look_at_disk(self) -> None:
        """See whether there is room; a log in trouble is tried again by an empty transaction."""
        now = time.monotonic()
        if now - self._disk_looked < DISK_LOOK_EVERY_S and self._trouble is None:
            return
        self._disk_looked = now
        try:
            if self._disk_free(self._folder) < DISK_FREE_BYTES_MIN:
                self._trouble = DISK_FULL
            elif self._trouble is not None:
                self._file.write((), {})
                self._trouble = None
        except (sqlite3.Error, OSError) as error:
            self._trouble = str(error)
