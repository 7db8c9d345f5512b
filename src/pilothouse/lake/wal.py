# SPDX-License-Identifier: Apache-2.0
"""The write-ahead log: requests are synced before they are acknowledged (bytes → disk → future).

One thread takes everything that waits, writes it at once, syncs once and releases all waiters: the
sync's own duration forms the group. Files are pre-allocated, so that an accepted append has room.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from pilothouse.durable_file import fsync_path
from pilothouse.errors import StorageUnavailable
from pilothouse.lake.wal_record import WalRecord

__all__ = ["FILE_BYTES", "FILE_SECONDS", "Wal"]

FILE_BYTES = 64 << 20
"""Size of one file: small enough that trimming frees space soon, large enough to rotate rarely."""

FILE_SECONDS = 60.0
"""Age at which a file that has records is closed, so that it can be trimmed."""

GROUP_RECORDS_MAX = 512
"""Records in one write; half of what one `writev` may take."""

FAILURES_MAX = 2
"""Failed syncs in a row after which the log stays closed until somebody looks at the disk."""


class _Waiting:
    """One request that waits for its sync."""

    __slots__ = ("future", "make")

    def __init__(self, make: Callable[[int], WalRecord], future: Future[WalRecord]) -> None:
        self.make = make
        self.future = future


class Wal:
    """The write-ahead log of one node.

    Args:
        folder: The node's folder; created.
        next_seq: Number of the next record.
        on_durable: Told each record in order once it is on the disk, before its waiter is.
        file_bytes: Size to pre-allocate.
        sync: Makes written data durable; replaced in tests that inject faults.
    """

    def __init__(
        self,
        folder: Path,
        *,
        next_seq: int,
        on_durable: Callable[[WalRecord, object], None],
        file_bytes: int = FILE_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._folder = folder
        self._next_seq = next_seq
        self._on_durable = on_durable
        self._file_bytes = file_bytes
        self._sync = sync
        self._waiting: queue.SimpleQueue[tuple[_Waiting, object] | None] = queue.SimpleQueue()
        self._file: int | None = None
        self._path = folder
        self._written = 0
        self._opened_at = 0.0
        self._failures = 0
        self._last_seq_of: dict[Path, int] = {}
        self._committed_seq = -1
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for above in (
            folder.parent,
            folder.parent.parent,
        ):  # a file is there when every name that leads to it is
            fsync_path(above)
        for path in sorted(folder.glob("*.wal")):
            # Files of an earlier life are trimmed once everything up to `next_seq` is committed.
            self._last_seq_of[path] = next_seq - 1
        self._thread = threading.Thread(target=self._run, name="pilothouse-wal", daemon=True)

    @property
    def is_failed(self) -> bool:
        """Whether syncing failed so often that no request is accepted any more."""
        return self._failures >= FAILURES_MAX

    @property
    def size_bytes(self) -> int:
        """Bytes that the log's files take on the disk."""
        return sum(path.stat().st_size for path in self._folder.glob("*.wal") if path.exists())

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write the queued records, then close."""
        self._waiting.put(None)
        self._thread.join()
        self._close_file()

    def append(self, make: Callable[[int], WalRecord], payload: object = None) -> Future[WalRecord]:
        """Queue a record; the future is done when it is durable.

        Args:
            make: Builds the record from its number.
            payload: Handed to `on_durable` beside the record.
        """
        future: Future[WalRecord] = Future()
        self._waiting.put((_Waiting(make, future), payload))
        return future

    def trim(self, committed_seq: int) -> int:
        """Delete the files whose records are all committed; return how many.

        Args:
            committed_seq: Number up to which everything is safely in the tables.
        """
        with self._lock:
            self._committed_seq = committed_seq
            done = [
                path
                for path, last in self._last_seq_of.items()
                if last <= committed_seq and (path != self._path or self._file is None)
            ]
            for path in done:
                path.unlink(missing_ok=True)
                del self._last_seq_of[path]
        return len(done)

    def _run(self) -> None:
        while True:
            try:
                first = self._waiting.get(timeout=FILE_SECONDS)
            except queue.Empty:
                self._rest()
                continue
            if first is None:
                return
            group = [first]
            stopping = False
            while len(group) < GROUP_RECORDS_MAX:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stopping = True
                    break
                group.append(more)
            self._write_group(group)
            if stopping:
                return

    def _write_group(self, group: list[tuple[_Waiting, object]]) -> None:
        if self.is_failed:
            error: Exception = StorageUnavailable(
                "the write-ahead log cannot be synced", remedy="Check the disk, then restart `pilothouse up`."
            )
            for waiting, _ in group:
                waiting.future.set_exception(error)
            return
        records = [waiting.make(self._next_seq + number) for number, (waiting, _) in enumerate(group)]
        parts = [part for record in records for part in record.to_bytes()]
        size = sum(map(len, parts))
        try:
            file = self._make_room(size, records[0].seq)
            _write(file, parts)
            self._sync(file)
        except OSError as fault:
            # After a failed sync the page cache cannot be trusted: the file is never written again. A full disk is
            # no broken one: it is asked again with the next request.
            self._failures += fault.errno != errno.ENOSPC
            self._abandon_file()
            error = StorageUnavailable(
                f"the write-ahead log could not be written: {fault.strerror}",
                remedy="Free some disk space or check the disk; sending again is safe.",
            )
            for waiting, _ in group:
                waiting.future.set_exception(error)
            return
        self._failures = 0
        self._written += size
        self._next_seq = records[-1].seq + 1
        with self._lock:
            self._last_seq_of[self._path] = records[-1].seq
        for record, (waiting, payload) in zip(records, group, strict=True):
            self._on_durable(record, payload)
            waiting.future.set_result(record)

    def _make_room(self, size: int, seq: int) -> int:
        is_old = self._written > 0 and time.monotonic() - self._opened_at > FILE_SECONDS
        if self._file is not None and (self._written + size > self._file_bytes or is_old):
            self._close_file()
        if self._file is None:
            path = self._folder / f"{seq:020d}.wal"
            self._path = path
            self._written = 0
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.posix_fallocate(self._file, 0, max(self._file_bytes, size))
            self._opened_at = time.monotonic()
            fsync_path(self._folder)
        return self._file

    def _rest(self) -> None:
        """Close an idle file: data that retention or erasure removed from the tables must not stay in the log."""
        if self._file is not None and self._written:
            self._close_file()
            self.trim(self._committed_seq)

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _abandon_file(self) -> None:
        """Close a failed file and truncate unacknowledged records, so that a replay does not read them."""
        if self._file is None:
            return
        # Its waiters are told that they failed; if cutting fails too, reading them twice is harmless.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._written)
        self._close_file()


def _write(file: int, parts: list[bytes]) -> None:
    while parts:
        sent = os.writev(file, parts[: GROUP_RECORDS_MAX * 2])
        while parts and sent >= len(parts[0]):
            sent -= len(parts[0])
            parts = parts[1:]
        if sent:
            parts = [parts[0][sent:], *parts[1:]]
