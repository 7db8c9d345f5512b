# SPDX-License-Identifier: Apache-2.0
"""The program that writes groups of events into the file of the run log, for the server that started it.

It ends when its server has gone and everything that was sent is written; signals that stop servers do not stop it. Of a server that has gone
without asking it to end, it writes into the runs that were under way that they were cut. It works in short turns, and who waits to answer a call goes first, as long as the log is not behind.
"""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pilothouse.runtime.runlog.cut_runs import CutRuns
from pilothouse.runtime.runlog.group import GROUP_EVENTS_MAX, Pending
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.store import RunFile
from pilothouse.runtime.runlog.turns import Turns
from pilothouse.runtime.runlog.vault import KeyVault

__all__ = ["serve"]


def serve(connection: Connection, folder: Path) -> None:
    """Write what is asked until the other side is closed.

    Args:
        connection: Groups come in, the reason of each failure goes out, empty for none.
        folder: Folder of the log and of its keys.
    """
    vault = KeyVault(folder / "keys.sqlite")
    turns = Turns()
    file = RunFile(folder / "runs.sqlite", vault, Redaction(vault.own_key()), turns.give_way)
    cut, is_asked = CutRuns(), False
    while True:
        try:
            asked = connection.recv_bytes()
        except (EOFError, OSError):
            break
        name, given = pickle.loads(asked)  # noqa: S301 - from the process that started this one
        is_asked = name == "end"
        failure = "" if is_asked else _do(file, cut, turns, name, given)
        try:
            connection.send_bytes(failure.encode("utf-8", "replace"))
        except OSError:
            break
    if not is_asked:
        with suppress(sqlite3.Error):  # then its last calls are lost, and that they are
            file.write(cut.closing(time.monotonic()), {})
    file.close()
    vault.close()


def _do(file: RunFile, cut: CutRuns, turns: Turns, name: str, given: tuple[Any, ...]) -> str:
    """Do what is asked, and return why it failed, or empty."""
    try:
        if name == "forget":
            file.forget(given[0])
            return ""
        group = [Pending(*row) for row in given[0]]
        turns.is_hurried = len(group) >= GROUP_EVENTS_MAX
        if name == "write" or not file.has(group):
            file.write(group, given[1])
        cut.note(group, time.monotonic())
    except sqlite3.Error as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next group may be written
        return f"{type(error).__name__}: {error}"
    return ""


def _yield_to_callers() -> None:
    """Be what the scheduler calls a batch job, where it knows one: waking up for a group interrupts nobody at work."""
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    _yield_to_callers()
    serve(Connection(int(sys.argv[1])), Path(sys.argv[2]))
