# SPDX-License-Identifier: Apache-2.0
"""The journal's file: opened with its schema, and locked so that one process at a time writes it."""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from pathlib import Path
from typing import Final

from pilothouse.errors import Conflict

__all__ = ["connect", "take_lock"]

SCHEMA_VERSION: Final = 2
"""Form of the file; a newer one is refused, an older one is brought forward."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS config (
  digest TEXT PRIMARY KEY, version TEXT NOT NULL, address TEXT NOT NULL, environment TEXT NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS config_version ON config (version);
CREATE TABLE IF NOT EXISTS run (
  id TEXT PRIMARY KEY, dataset TEXT NOT NULL, candidate TEXT NOT NULL, plan TEXT NOT NULL, at TEXT NOT NULL, verdict TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trial (
  key TEXT PRIMARY KEY, config TEXT NOT NULL, case_id TEXT NOT NULL, input_hash TEXT NOT NULL, k INTEGER NOT NULL,
  attempt INTEGER NOT NULL, status TEXT NOT NULL, reply TEXT, blob TEXT, latency_s REAL, cost_usd REAL, error TEXT,
  run TEXT, at TEXT
);
CREATE TABLE IF NOT EXISTS score (
  trial TEXT NOT NULL, case_hash TEXT NOT NULL, version TEXT NOT NULL, name TEXT NOT NULL, value REAL, why TEXT,
  reason TEXT NOT NULL, cost_usd REAL, PRIMARY KEY (trial, case_hash, version),
  CHECK ((value IS NULL) = (why IS NOT NULL))
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS look (
  run TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (run, number)
) WITHOUT ROWID;
"""
"""A score without a value says why: the database holds to it too."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, durable at each commit; an empty one gets its tables.

    Raises:
        sqlite3.Error: It cannot be opened, or a newer program made it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"made by a newer program (form {found}, this one reads {SCHEMA_VERSION})"
        )
    if found < SCHEMA_VERSION:
        connection.executescript(SCHEMA)
        if "at" not in {row[1] for row in connection.execute("PRAGMA table_info(trial)")}:
            connection.execute("ALTER TABLE trial ADD COLUMN at TEXT")
            connection.execute("UPDATE trial SET at = (SELECT at FROM run WHERE id = trial.run)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def take_lock(path: Path) -> int:
    """Take the lock file; the kernel releases it when the process ends, however it ends.

    Args:
        path: The SQLite file; the lock lies beside it.

    Returns:
        The open lock; closing it frees it.

    Raises:
        Conflict: Another process holds it.
    """
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
        os.close(handle)
        raise Conflict(
            f"another process writes this journal: {holder or 'unknown'}.",
            remedy="Wait for it, or give --journal FILE.",
            subject=str(path),
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return handle
