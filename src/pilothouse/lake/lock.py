# SPDX-License-Identifier: Apache-2.0
"""One writer for each lake folder: a file lock that names its holder and the holder's address."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pilothouse.durable_file import private_folder
from pilothouse.errors import Conflict

__all__ = ["Holder", "WriterLock", "find_holder"]

LOCK_NAME = "node.lock"

ATTEMPTS = 5
PAUSE_S = 0.05
"""Somebody who only asks who holds the lock holds it for a moment: it is tried again for 0.2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that writes a lake.

    Attributes:
        pid: Its process id.
        address: Where it takes OTLP, or empty while it serves nobody.
    """

    pid: int
    address: str


class WriterLock:
    """Holds the lock of a folder until it is released or the process ends.

    Args:
        folder: The lake folder; created.

    Raises:
        Conflict: Another process writes this folder.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take()
        except BlockingIOError as error:
            os.close(self._handle)
            holder = _read(folder)
            who = f"process {holder.pid}" if holder else "another process"
            raise Conflict(
                f"{who} is writing to {folder}",
                remedy="Use the running server, or stop it first (Ctrl-C in its terminal).",
                subject=str(folder),
            ) from error
        self.announce("")

    def _take(self) -> None:
        for _ in range(ATTEMPTS - 1):
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE_S)
            else:
                return
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def announce(self, address: str) -> None:
        """Write where this process accepts OTLP, for example `http://127.0.0.1:4318`."""
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))

    def release(self) -> None:
        """Let another process write."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def find_holder(folder: Path) -> Holder | None:
    """Return the process that holds the writer lock of a lake, or None."""
    path = folder / LOCK_NAME
    if not path.exists():
        return None
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(folder) or Holder(pid=0, address="")
    else:
        return None
    finally:
        os.close(handle)


def _read(folder: Path) -> Holder | None:
    try:
        found = json.loads((folder / LOCK_NAME).read_text())
        return Holder(pid=int(found["pid"]), address=str(found["address"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
