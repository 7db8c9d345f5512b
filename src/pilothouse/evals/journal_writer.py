# SPDX-License-Identifier: Apache-2.0
"""The writing side of the journal: one thread commits in groups, and a failure that lasts is remembered.

A group is committed every 5 ms or 256 rows. While a row waits for longer than 10 ms, because the disk is slow or
full, no trial is started: what a kill makes repeat is what was in flight and what ended within 10 ms. A full or locked disk is tried again for a minute; after that rows are
dropped and counted, and the next `check` raises.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pilothouse.durable_file import replace_file
from pilothouse.errors import InfrastructureError, StorageFull, StorageUnavailable

__all__ = ["GroupWriter"]

COMMIT_EVERY_S: Final = 0.005
"""Half of what a row may wait: the other half is for the disk."""

DURABLE_WITHIN_S: Final = 0.010
"""Age of an uncommitted row from which on no trial is started."""

COMMIT_ROWS_MAX: Final = 256
BACKLOG_ROWS_MAX: Final = 10_000
"""Uncommitted rows kept in memory; beyond it no trial is started."""

RETRY_S: Final = 60.0
"""How long a full or locked disk is tried again before the run ends with what was saved."""

RETRY_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    row: tuple[Any, ...]
    blob: tuple[str, bytes] | None = None
    barrier: Future[None] | None = None


class GroupWriter:
    """A thread that writes rows through a connection of its own.

    Args:
        connection: Closed by the caller, after `close`.
        path: The journal, for messages; large replies lie in `blobs` beside it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._path = path
        self._connection = connection
        self._given_at: deque[float] = deque()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._failure: InfrastructureError | None = None
        self._thread = threading.Thread(target=self._write_all, name="pilothouse-journal", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Rows given and not yet committed."""
        return len(self._given_at)

    @property
    def is_behind(self) -> bool:
        """Whether the uncommitted rows are so many, or so old, that no trial should be started."""
        if len(self._given_at) > BACKLOG_ROWS_MAX:
            return True
        try:
            return time.monotonic() - self._given_at[0] > DURABLE_WITHIN_S
        except IndexError:  # the thread committed the last one meanwhile
            return False

    def check(self) -> None:
        """Raise the error of the thread, if there is one.

        Raises:
            StorageFull: The disk stayed full.
            StorageUnavailable: The file could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def put(self, statement: str, row: tuple[Any, ...], blob: tuple[str, bytes] | None = None) -> None:
        """Queue a row.

        Args:
            statement: SQL with question marks.
            row: Their values.
            blob: Digest and bytes of a file that must lie there before the row does.
        """
        self._given_at.append(time.monotonic())
        self._queue.put(_Write(statement, row, blob))

    def barrier(self) -> Future[None]:
        """Return a future that is done when all rows queued so far are committed, or dropped."""
        reached: Future[None] = Future()
        self._queue.put(_Write("", (), barrier=reached))
        return reached

    def close(self) -> None:
        """Write the queued rows and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        """Commit in groups until told to stop; after a lasting failure, drop and remember."""
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            if batch[0] is not None and batch[0].barrier is None and self._queue.qsize() < COMMIT_ROWS_MAX:
                time.sleep(COMMIT_EVERY_S)
            while len(batch) < COMMIT_ROWS_MAX and not self._queue.empty():
                batch.append(self._queue.get())
            is_open = None not in batch
            writes = [one for one in batch if one is not None]
            self._commit_or_remember([one for one in writes if one.barrier is None])
            for one in writes:
                if one.barrier is not None:
                    one.barrier.set_result(None)

    def _commit_or_remember(self, writes: list[_Write]) -> None:
        if not writes or self._failure is not None:
            return
        give_up_at = time.monotonic() + RETRY_S
        while True:
            try:
                self._commit(writes)
            # Whatever it is: a thread that died would let the run wait for ever for what it will never write.
            except Exception as error:  # noqa: BLE001
                if time.monotonic() < give_up_at and _may_pass(error):
                    time.sleep(RETRY_PAUSE_S)
                    continue
                kind = StorageFull if "full" in str(error) or "space" in str(error) else StorageUnavailable
                self._failure = kind(
                    f"the journal cannot be written ({error}); {self.backlog} rows were not saved.",
                    remedy="Make room or give --journal FILE, then run the same command: it continues.",
                    subject=str(self._path),
                )
                return
            for _ in writes:
                self._given_at.popleft()
            return

    def _commit(self, writes: list[_Write]) -> None:
        for one in writes:
            if one.blob is not None:
                _write_blob(self._path.parent / "blobs", *one.blob)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for one in writes:
                self._connection.execute(one.statement, one.row)
            self._connection.execute("COMMIT")
        except Exception:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _write_blob(folder: Path, digest: str, body: bytes) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / digest
    if not path.exists():
        replace_file(path, body)


def _may_pass(error: Exception) -> bool:
    """Whether an error may be transient: a full disk, a lock, an I/O error; not a corrupt file."""
    return isinstance(error, OSError | sqlite3.OperationalError)
