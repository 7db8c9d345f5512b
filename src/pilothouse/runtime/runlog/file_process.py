# SPDX-License-Identifier: Apache-2.0
"""Writes groups of events in a process of its own, so that hashing and encrypting never keep the interpreter from who answers.

Python's threads take turns at one interpreter. A thread that works on a group holds it for a millisecond at each of the
five or so times that a call needs it back, so every call that met a group was late by milliseconds. The group goes over a
socket, and the thread that sent it waits for the answer, which needs no interpreter.
"""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from pilothouse.own_process import start_module
from pilothouse.runtime.runlog.group import Pending

__all__ = ["RunFileProcess"]

START_EVERY_S = 1.0
"""A process that cannot stay alive is started no more often: each start costs a fifth of a second of CPU."""

END_S = 10.0
"""How long the process may take for its last group; then it is ended."""


class RunFileProcess:
    """`RunFile` in another process, started with the first group and again when it ended.

    A group that was under way when the process ended is written by the next one, which looks first whether the group is
    in the file: it is there as a whole or not at all.

    Attributes:
        restarts: How often the process ended without being asked.

    Args:
        folder: Folder of the log and of its keys.
        on_note: Told when the process has to be started again.
    """

    def __init__(self, folder: Path, on_note: Callable[[str], None]) -> None:
        self._folder = folder
        self._on_note = on_note
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._started_s = float("-inf")
        self._is_closing = False
        self.restarts = 0

    def write(self, group: Sequence[Pending], lost: dict[str, int]) -> None:
        """Write events in order, all or none, and count lost ones of runs.

        Raises:
            sqlite3.Error: Nothing was written.
            OSError: The process ended, and so did the next one.
        """
        rows = [tuple(one) for one in group]
        with self._lock:
            try:
                self._ask("write", rows, lost)
            except OSError:
                status = self._end()
                if self._is_closing:
                    raise
                self.restarts += 1
                self._on_note(
                    f"The process that writes the run log ended (status {status}). Another one goes on with what it had."
                )
                self._ask("write_once", rows, lost)

    def forget(self, names: Iterable[str | int]) -> None:
        """Forget the keys of subjects whose content was erased: what comes later for them gets new ones."""
        with self._lock:
            if self._connection is not None:
                try:
                    self._ask("forget", list(names))
                except OSError:
                    self._end()  # the next one knows no key

    def close(self) -> None:
        """Let the process write what it was given, and end it; one that hangs is ended all the same."""
        self._is_closing = True
        process = self._process
        if not self._lock.acquire(timeout=END_S):
            if process is not None:
                process.kill()
            self._lock.acquire()
        try:
            if self._connection is not None:
                with suppress(OSError):  # no answer is waited for: one that hangs gives none
                    self._connection.send_bytes(pickle.dumps(("end", ())))
            self._end()
        finally:
            self._lock.release()

    def _ask(self, name: str, *given: object) -> None:
        connection = self._connection or self._start()
        try:
            connection.send_bytes(pickle.dumps((name, given), protocol=pickle.HIGHEST_PROTOCOL))
            failure = connection.recv_bytes().decode()
        except (EOFError, OSError) as ended:
            raise ConnectionResetError("the process that writes the run log ended") from ended
        if failure:
            raise sqlite3.OperationalError(failure)

    def _start(self) -> Connection:
        if self._is_closing:
            raise ConnectionAbortedError("the run log is closed")
        time.sleep(max(0.0, self._started_s + START_EVERY_S - time.monotonic()))
        self._started_s = time.monotonic()
        self._process, self._connection = start_module(
            "pilothouse.runtime.runlog.file_process_main", str(self._folder)
        )
        return self._connection

    def _end(self) -> int | None:
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if process is None:
            return None
        try:
            return process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
