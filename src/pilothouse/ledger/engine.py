# SPDX-License-Identifier: Apache-2.0
"""Open the database file so that a returned write is on disk and two processes wait for each other."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from pilothouse.errors import UsageError

__all__ = ["BUSY_TIMEOUT_S", "database_subject", "make_engine"]

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one; the longest transaction of ours takes milliseconds, so half a
minute means that something hangs."""

POOL_CONNECTIONS_MAX = 8
"""Connections of one process: SQLite has one writer at a time and the pages read with few threads."""

WRITE_OPTION = "pilothouse_write"
"""Execution option of a connection that is going to write."""


def make_engine(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Return an engine whose connections are durable, check references and wait for their turn.

    Args:
        url: SQLAlchemy address; only SQLite files can be opened now.
        busy_timeout_s: How long to wait for another writer, seconds.

    Raises:
        UsageError: The address is of another database, or has no file.
    """
    address = _parse(url)
    engine = create_engine(
        address,
        pool_size=POOL_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=busy_timeout_s,
        connect_args={"timeout": busy_timeout_s},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def database_subject(url: str) -> str:
    """Return the file of a ledger address, as messages name it.

    Example:
        >>> database_subject("sqlite:////data/ledger.sqlite")
        '/data/ledger.sqlite'
    """
    address = _parse(url)
    return str(address.database)


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is None or address.get_backend_name() != "sqlite":
        raise UsageError(
            "the address of the ledger is not that of a SQLite file",
            remedy="Set PILOTHOUSE_HOME to a folder; the ledger is kept in it.",
            subject="ledger",
        )
    if not address.database or address.database == ":memory:":
        raise UsageError(
            "the ledger needs a file; one in memory would forget every decision",
            remedy="Set PILOTHOUSE_HOME to a folder; tests use pilothouse.testing.MemoryLedger.",
            subject="ledger",
        )
    return address


def _on_connect(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late and not before DDL; ours begin where we say.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch a new file to write-ahead logging; whoever else does so at this moment does it for us too."""
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "readonly" not in str(error):
            raise


def _on_begin(connection: Connection) -> None:
    # A writer takes its place in the queue at once: a transaction that reads first and writes later
    # would fail instead of wait when somebody else wrote in between.
    writes = connection.get_execution_options().get(WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
