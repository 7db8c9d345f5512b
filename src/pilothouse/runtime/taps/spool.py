# SPDX-License-Identifier: Apache-2.0
"""Take what start-up hooks have written into the run log: one file for each process, read when the process is over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pilothouse.core.evidence.run_log import (
    Draw,
    Event,
    HostContacted,
    IdentitySource,
    RunClosed,
    RunOpened,
    RunState,
    Tap,
)
from pilothouse.errors import LimitExceeded
from pilothouse.ports.runlog import RunLog

__all__ = ["absorb"]

FILES_MAX = 1_000
"""Files of one look; the next look takes the rest."""


def absorb(folder: Path, log: RunLog) -> int:
    """Move what ended processes have written into the run log; return the number of events.

    Every command does it, also beside another one: a file is taken by its name, and one whose taker died is taken again.

    Args:
        folder: Folder of the files; one that is not there is empty.
        log: Where it goes.
    """
    count = 0
    files = sorted(folder.iterdir())[:FILES_MAX] if folder.is_dir() else []
    for file in files:
        if _is_alive(file):
            continue
        mine = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            file.rename(mine)
        except FileNotFoundError:
            continue  # another process was quicker
        ended_ns = mine.stat().st_mtime_ns  # the last line is the end
        for run, event in _events(mine):
            at_ns = ended_ns if isinstance(event, RunClosed) else None
            try:
                log.append(run, event, tap=Tap.LAUNCHER, at_ns=at_ns)
            except LimitExceeded:
                log.flush()
                log.append(run, event, tap=Tap.LAUNCHER, at_ns=at_ns)
            count += 1
        log.flush()
        mine.unlink()
    return count


def _is_alive(file: Path) -> bool:
    """Whether the process whose number the name ends with still runs."""
    number = file.suffix[1:]
    return number.isdigit() and Path(f"/proc/{number}").exists() and os.getpid() != int(number)


def _events(file: Path) -> Iterator[tuple[str, Event]]:
    for line in file.read_text(errors="replace").splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
            found = _event(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a torn last line of a process that was killed
        if found is not None:
            yield str(entry["run"]), found


def _event(entry: dict[str, Any]) -> Event | None:
    if entry["kind"] == "draw":
        return Draw(
            source=entry["source"],
            site=entry["site"],
            ordinal=int(entry["ordinal"]),
            value=str(entry["value"]),
        )
    if entry["kind"] == "egress":
        return HostContacted(host=entry["host"], port=entry["port"], inside=bool(entry["inside"]))
    if entry["kind"] == "open":
        return RunOpened(
            agent=entry["agent"],
            version=entry["version"],
            identity=IdentitySource.PATH,
            environment=entry["environment"],
            taps=tuple(entry["taps"]),
        )
    if entry["kind"] == "end" and "failed" in entry:  # the first process of the run
        return RunClosed(state=RunState.FAILED if entry["failed"] else RunState.COMPLETED)
    return None
