# SPDX-License-Identifier: Apache-2.0
"""The run log that gateway, tools and launcher write to: a bounded queue, one writing thread, one sync for each group.

Appending never waits. What cannot be written is counted, both in the health of the log and at its run, so that a run
with a gap says that it cannot be replayed instead of being silently shorter.
"""

from __future__ import annotations

import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pilothouse.core.evidence.run_log import Event, RecordedRun, RunClosed, RunState, RunSummary, Tap
from pilothouse.errors import DigestMismatch, LimitExceeded, StorageUnavailable
from pilothouse.ports.runlog import RUNS_PAGE_MAX
from pilothouse.runtime.runlog.coding import CONTENT
from pilothouse.runtime.runlog.reading import find_run, list_runs, read_run
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.store import Pending, RunFile
from pilothouse.runtime.runlog.tables import connect
from pilothouse.runtime.runlog.vault import KeyVault

__all__ = ["Recorder", "RecorderHealth", "open_recorder"]

WAITING_BYTES_MAX = 64 << 20
"""Content that may wait to be written: two of the largest bodies, or seconds of ordinary traffic."""

WAITING_EVENTS_MAX = 65_536
"""Events that may wait: at 2 of each call, ten seconds of the busiest gateway."""

GROUP_EVENTS_MAX = 512
"""Events of one transaction; the sync's own duration forms the group below that."""

DISK_FREE_BYTES_MIN = 256 << 20
"""Below it nothing is recorded: the ledger on the same disk must still be able to write."""

GATHER_S = 0.05
"""How long the first event of a group waits for others: a transaction costs as much as ten events, and nobody awaits it."""

TRY_AGAIN_S = 0.5
"""How often a log that cannot be written tries again."""

DISK_LOOK_EVERY_S = 1.0

ABANDONED_AFTER_NS = 3_600 * 1_000_000_000
"""A run without an event for this long will not go on."""

DAY_NS = 86_400 * 1_000_000_000

EVENT_BYTES = 200
"""What an event without content weighs in the queue."""

SWEEP_RUNS_MAX = 1_000
"""Runs dropped in one sweep, so that a sweep is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderHealth:
    """Counters of the run log.

    Attributes:
        written: Events on disk.
        lost: Events that could not be written.
        waiting: Events not on disk yet.
        trouble: Why nothing can be written now, or None.
    """

    written: int
    lost: int
    waiting: int
    trouble: str | None


@dataclass(slots=True)
class _Flush:
    """Asks the writer to say when everything before it is on disk."""

    done: threading.Event


class Recorder:
    """A run log in a folder; one process writes through one of these, and any process may read."""

    def __init__(
        self,
        folder: Path,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        disk_free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        """Open or make the log.

        Args:
            folder: Folder of the log and of its keys.
            wall_ns: Wall clock, Unix nanoseconds.
            mono_ns: Monotonic clock, nanoseconds.
            disk_free: Free bytes at a path.
        """
        self._folder = folder
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns
        self._disk_free = disk_free
        self._vault = KeyVault(folder / "keys.sqlite")
        self.redaction = Redaction(self._vault.own_key())
        self._file = RunFile(folder / "runs.sqlite", self._vault, self.redaction)
        self._reader = connect(folder / "runs.sqlite")
        self._reading = threading.Lock()
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
        size = _size(event)
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
                run=run,
                event=event,
                call=call,
                tap=tap,
                at_ns=self._wall_ns() if at_ns is None else at_ns,
                mono_ns=self._mono_ns(),
                size=size,
            )
        )

    def trouble(self) -> str | None:
        """Return why nothing can be written now, or None."""
        if self._waiting >= WAITING_EVENTS_MAX or self._waiting_bytes >= WAITING_BYTES_MAX:
            return "too much waits to be written"
        return self._trouble

    def health(self) -> RecorderHealth:
        """Return the counters."""
        with self._counting:
            return RecorderHealth(
                written=self._written, lost=self._lost, waiting=self._waiting, trouble=self.trouble()
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

    def seal(self, run: str, state: RunState) -> RunSummary:
        """Close a run, read it back whole and check every digest.

        Raises:
            UnknownName: There is no such run.
            DigestMismatch: What was read back is not what was written.
        """
        self.flush()
        if self.read(run).summary.state is RunState.OPEN:
            self.append(run, RunClosed(state=state))
            self.flush()
        recorded = self.read(run)
        if recorded.damage is not None:
            raise DigestMismatch(
                f"run {run}: {recorded.damage}",
                remedy=f"See what is left: `pilothouse replay {run} --show`",
                subject=run,
            )
        return recorded.summary

    def read(self, run: str) -> RecordedRun:
        """Read a run up to its last good event.

        Raises:
            UnknownName: There is no such run, or there are several.
        """
        with self._reading:
            return read_run(self._reader, self._vault, find_run(self._reader, run))

    def runs(
        self,
        *,
        agent: str | None = None,
        since_ns: int = 0,
        until_ns: int | None = None,
        limit: int = RUNS_PAGE_MAX,
    ) -> Sequence[RunSummary]:
        """List runs, newest first."""
        with self._reading:
            return list_runs(
                self._reader, self._vault, agent=agent, since_ns=since_ns, until_ns=until_ns, limit=limit
            )

    def erase(self, subject: str) -> int:
        """Destroy the key and the content of a data subject; events stay. Return the number of runs."""
        self._vault.destroy(subject)
        with self._reading:
            # By default a run is its own subject, and only the others stand in the index of subjects.
            runs = self._reader.execute(
                "SELECT id FROM run WHERE (run = ?1 AND subject = ?1) OR (subject = ?1 AND subject <> run)",
                (subject,),
            ).fetchall()
            self._reader.executemany("DELETE FROM piece WHERE id = ?", runs)
        return len(runs)

    def sweep(self, now_ns: int, *, keep_days: int) -> int:
        """Close runs without an event for an hour as abandoned, and drop those past retention."""
        with self._reading:
            idle = self._reader.execute(
                "SELECT run FROM run WHERE state = ? AND last_ns < ? LIMIT ?",
                (RunState.OPEN, now_ns - ABANDONED_AFTER_NS, SWEEP_RUNS_MAX),
            ).fetchall()
            old = self._reader.execute(
                "SELECT run, subject FROM run WHERE last_ns < ? LIMIT ?",
                (now_ns - keep_days * DAY_NS, SWEEP_RUNS_MAX),
            ).fetchall()
        dropped = {run for run, _ in old}
        for (run,) in idle:
            if run not in dropped:
                self.append(run, RunClosed(state=RunState.ABANDONED))
        with self._reading:
            self._reader.execute("BEGIN IMMEDIATE")
            for run in dropped:
                for table in ("piece", "event", "run"):
                    self._reader.execute(
                        f"DELETE FROM {table} WHERE id = (SELECT id FROM run WHERE run = ?)",  # noqa: S608 - our own tables
                        (run,),
                    )
            self._reader.execute("COMMIT")
        for run, subject in old:
            if run == subject:
                self._vault.destroy(subject)
        return len(dropped)

    def close(self) -> None:
        """Write what waits and close."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(10.0)
        self._file.close()
        with self._reading:
            self._reader.close()
        self._vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        """Write groups until closed; runs in the writing thread."""
        while True:
            try:
                first = self._queue.get(timeout=TRY_AGAIN_S)
            except queue.Empty:
                self._look_at_disk()
                continue
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
        while True:
            if item is None:
                return group, flushes, True
            if isinstance(item, _Flush):
                flushes.append(item)
            else:
                group.append(item)
            if len(group) >= GROUP_EVENTS_MAX:
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


DISK_FULL = f"less than {DISK_FREE_BYTES_MIN >> 20} MiB are free on the disk of the run log"


def open_recorder(folder: Path) -> Recorder:
    """Open the run log of an installation.

    Args:
        folder: Its folder; made when it is not there.

    Raises:
        StorageUnavailable: It cannot be opened.
    """
    try:
        return Recorder(folder)
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailable(
            f"the run log in {folder} cannot be opened: {error}",
            remedy="Look at the installation: `pilothouse doctor`",
        ) from error


def _size(event: Event) -> int:
    return EVENT_BYTES + sum(len(getattr(event, name) or b"") for name in CONTENT[type(event)])
