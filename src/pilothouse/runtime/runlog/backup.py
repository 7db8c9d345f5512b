# SPDX-License-Identifier: Apache-2.0
"""Copy the run log while it is written: events, the keys of their content, and what start-up hooks have not handed over yet."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from pilothouse.errors import StorageUnavailable

__all__ = ["copy_runs"]

LOG, KEYS, SPOOL = "runs.sqlite", "keys.sqlite", "spool"

ATTEMPTS_MAX = 5
"""Hooks hand over when their process ends; whoever starts processes faster than the log can be copied is asked to wait."""


def copy_runs(folder: Path, target: Path) -> int:
    """Copy log, keys and spool; return how many runs there are.

    The log goes before the keys: a run of the copy has its key, and a key that was destroyed meanwhile is not in it. What was in
    the spool before is in the copy of the log or in that of the spool.

    Args:
        folder: Folder of the run log.
        target: Where to; must not exist.

    Raises:
        StorageUnavailable: A file cannot be read or written.
    """
    if not (folder / LOG).exists():
        return 0
    try:
        target.mkdir(parents=True, mode=0o700)
        for _ in range(ATTEMPTS_MAX):
            waiting = _spooled(folder)
            runs = _copy_database(folder / LOG, target / LOG)
            if waiting <= _copy_spool(folder, target):
                break
        else:
            raise StorageUnavailable(
                "runs were handed over faster than the run log could be copied",
                remedy="Try again when fewer processes start and end.",
                subject=str(folder),
            )
        _copy_database(folder / KEYS, target / KEYS)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailable(
            f"the run log could not be copied: {error}",
            remedy="Free space, or name another folder.",
            subject=str(target),
        ) from error
    return runs


def _spooled(folder: Path) -> set[str]:
    spool = folder / SPOOL
    return {path.name for path in spool.iterdir()} if spool.is_dir() else set()


def _copy_spool(folder: Path, target: Path) -> set[str]:
    """Copy what waits; return the names."""
    shutil.rmtree(target / SPOOL, ignore_errors=True)
    copied = set()
    for name in sorted(_spooled(folder)):
        (target / SPOOL).mkdir(mode=0o700, exist_ok=True)
        try:
            shutil.copyfile(folder / SPOOL / name, target / SPOOL / name)
        except FileNotFoundError:  # handed over meanwhile
            continue
        copied.add(name)
    return copied


def _copy_database(path: Path, target: Path) -> int:
    """Copy one moment of a file of SQLite, readable by this user only; return the runs in it."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        if path.name == LOG:
            return int(copy.execute("SELECT count(*) FROM run").fetchone()[0])
    return 0
