# SPDX-License-Identifier: Apache-2.0
"""The run log that gateway, tools and launcher write to and replay reads: written by one thread, erased by key.

A run with an event that could not be written says that it cannot be replayed, instead of being silently shorter.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from pilothouse.core.evidence.run_log import RecordedRun, RunClosed, RunState, RunSummary
from pilothouse.errors import StorageUnavailable
from pilothouse.ports.runlog import RUNS_PAGE_MAX
from pilothouse.runtime.runlog.file_process import RunFileProcess
from pilothouse.runtime.runlog.reading import find_run, list_runs, read_run, row_of
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.store import NOBODY, RunFile
from pilothouse.runtime.runlog.tables import connect, transaction
from pilothouse.runtime.runlog.vault import KeyVault
from pilothouse.runtime.runlog.writer import Writer

__all__ = ["Recorder", "open_recorder"]

ABANDONED_AFTER_NS = 3_600 * 1_000_000_000
"""A run without an event for this long will not go on."""

OWNER_WAIT_MS = 20
"""How long whoever asks whose a run is waits for a writer that has the file for itself: all calls wait with it."""

DAY_NS = 86_400 * 1_000_000_000

SWEEP_RUNS_MAX = 1_000
"""Runs dropped in one sweep, so that a sweep is short."""


class Recorder:
    """A run log in a folder; one process writes through one of these, and any process may read.

    Args:
        folder: Folder of the log and of its keys.
        wall_ns: Wall clock, Unix nanoseconds.
        mono_ns: Monotonic clock, nanoseconds.
        disk_free: Free bytes at a path.
        on_note: Given, a process of its own writes, as a server's must, and this is told when it had to be started again.

    Attributes:
        redaction: Replaces secrets as they are written, and in the requests of a replay.
        append: Takes an event; the writer's own, as are the next three, so that a call goes through one of them only.
        trouble: Says why nothing can be written now.
        health: Returns the counters.
        flush: Waits until everything is on disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        disk_free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self._vault = KeyVault(folder / "keys.sqlite")
        self.redaction = Redaction(self._vault.own_key())
        self._reader = connect(folder / "runs.sqlite")
        self._reading = threading.Lock()
        self._owners = connect(folder / "runs.sqlite")
        self._owners.execute(f"PRAGMA busy_timeout = {OWNER_WAIT_MS}")
        self._asking = threading.Lock()
        self._closed = False
        self._file = (
            RunFile(folder / "runs.sqlite", self._vault, self.redaction)
            if on_note is None
            else RunFileProcess(folder, on_note)
        )
        self._writer = Writer(
            folder,
            self._file,
            wall_ns=wall_ns,
            mono_ns=mono_ns,
            disk_free=disk_free,
        )
        self.append = self._writer.append
        self.trouble = self._writer.trouble
        self.health = self._writer.health
        self.flush = self._writer.flush

    def read(self, run: str) -> RecordedRun:
        """Read a run up to its last good event.

        Raises:
            UnknownName: There is no such run, or there are several.
        """
        with self._reading:
            return read_run(self._reader, self._vault, find_run(self._reader, run))

    def summary(self, run: str) -> RunSummary | None:
        """Return the row of a run, or None."""
        with self._reading:
            return row_of(self._reader, self._vault, run)

    def owner(self, run: str) -> str | None:
        """Return the agent that owns a run, or None.

        Through a connection of its own: a call waits for this, and reading a run may take seconds.
        """
        with self._asking:
            if self._closed:
                return None
            try:
                row = self._owners.execute("SELECT agent FROM run WHERE run = ?", (run,)).fetchone()
            except sqlite3.Error:
                return None
        return None if row is None or row[0] == NOBODY else str(row[0])

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
        self._file.forget([subject])  # what was being written is on disk, and found here
        with self._reading:
            # By default a run is its own subject, and only the others stand in the index of subjects.
            runs = self._reader.execute(
                "SELECT id, key FROM run WHERE (run = :it AND subject = :it) OR (subject = :it AND subject <> run)",
                {"it": subject},
            ).fetchall()
            numbers = [key for _, key in runs if key is not None]
            self._vault.destroy(subject, numbers)
        self._file.forget([subject, *numbers])  # and nothing more is written with a key that is no more
        with self._reading, transaction(self._reader):
            self._reader.executemany("DELETE FROM piece WHERE id = ?", [(run,) for run, _ in runs])
        return len(runs)

    def sweep(self, now_ns: int, *, keep_days: int) -> int:
        """Close runs without an event for an hour as abandoned, and drop those past retention."""
        old_ns = now_ns - keep_days * DAY_NS
        with self._reading:
            idle = self._reader.execute(
                "SELECT run FROM run INDEXED BY run_open WHERE state = 'open' AND last_ns < ? LIMIT ?",
                (now_ns - ABANDONED_AFTER_NS, SWEEP_RUNS_MAX),
            ).fetchall()
            old = self._reader.execute(
                "SELECT run, subject, key FROM run WHERE opened_ns < ? AND last_ns < ? LIMIT ?",
                (old_ns, old_ns, SWEEP_RUNS_MAX),
            ).fetchall()
        dropped = {run for run, _, _ in old}
        for (run,) in idle:
            if run not in dropped:
                self.append(run, RunClosed(state=RunState.ABANDONED))
        if not dropped:
            return 0
        own = [run for run, subject, _ in old if run == subject]
        numbers = [key for _, _, key in old if key is not None]
        self._vault.drop(own, numbers)  # first, so that a sweep that is killed here is made again
        self._file.forget([*own, *numbers])
        with self._reading, transaction(self._reader):
            for table in ("piece", "event", "run"):
                self._reader.executemany(
                    f"DELETE FROM {table} WHERE id = (SELECT id FROM run WHERE run = ?)",  # noqa: S608 - our own tables
                    [(run,) for run in dropped],
                )
        return len(dropped)

    def close(self) -> None:
        """Write what waits and close."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        with self._reading:
            self._reader.close()
        with self._asking:
            self._owners.close()
        self._vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_recorder(folder: Path, on_note: Callable[[str], None] | None = None) -> Recorder:
    """Open the run log of an installation.

    Args:
        folder: Its folder; made when it is not there.
        on_note: As for `Recorder`.

    Raises:
        StorageUnavailable: It cannot be opened.
    """
    try:
        return Recorder(folder, on_note=on_note)
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailable(
            f"the run log in {folder} cannot be opened: {error}",
            remedy="Look at the installation: `pilothouse doctor`",
        ) from error
