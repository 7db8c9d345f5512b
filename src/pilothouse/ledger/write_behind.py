# SPDX-License-Identifier: Apache-2.0
"""A write-behind buffer for records: held in memory briefly, written in groups by a background thread.

Only for calls that change nothing. While a group cannot be written the buffer takes no more; the caller then records
synchronously, fails, and denies, so an unreachable ledger stops reads within a second.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["FOLLOW_WITHIN_S", "GROUP_MAX", "WAITING_MAX", "WriteBehind"]

FOLLOW_WITHIN_S = 0.25
"""How long the first of a group waits for more; what a killed process can lose."""

GROUP_MAX = 512
"""Records of one transaction, as in `group_commit`."""

WAITING_MAX = 4_096
"""Records in memory, a few KiB each; more is a disk that does not keep up."""

AGAIN_AFTER_S = 1.0
"""Pause before the next attempt after a group could not be written."""

CLOSE_WITHIN_S = 10.0
"""Longest wait for what is left when the process ends; a write waits no longer for a lock either."""


T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Buffers records and writes them in the background; safe to share between threads.

    Args:
        write: Puts records on disk, all of them or none; runs in the thread of the buffer, so the call does not pay for it.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._waiting: deque[T] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._some = threading.Event()
        self._end = threading.Event()
        self._is_failing = False

    def take(self, entry: T) -> bool:
        """Buffer a record.

        Returns:
            Whether it will be written; False while writing fails, when too many wait, and after the end.
        """
        if self._is_failing or self._end.is_set() or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(entry)
        if not self._some.is_set():
            self._some.set()
        if self._thread is None:
            self._start()
        return True

    def close(self) -> None:
        """Write the buffered records, and accept no more."""
        with self._lock:
            self._end.set()
            thread = self._thread
        self._some.set()
        atexit.unregister(self.close)
        if thread is not None:
            thread.join(CLOSE_WITHIN_S)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._end.is_set():
                self._thread = threading.Thread(target=self._work, name="pilothouse-records", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _work(self) -> None:
        while not self._end.is_set():
            self._some.wait()
            self._end.wait(FOLLOW_WITHIN_S)  # others join the first one
            self._some.clear()
            while self._waiting:
                if not self._write_group() and self._end.wait(AGAIN_AFTER_S):
                    break
        while self._waiting and self._write_group():
            pass

    def _write_group(self) -> bool:
        """Write the oldest group; records stay buffered until they are durable."""
        group = [self._waiting[at] for at in range(min(GROUP_MAX, len(self._waiting)))]
        try:
            self._write(group)
        except Exception:  # noqa: BLE001 - whatever it is, nothing more is taken until a group can be written
            self._is_failing = True
            return False
        for _ in group:
            self._waiting.popleft()
        self._is_failing = False
        return True
