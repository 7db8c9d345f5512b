# SPDX-License-Identifier: Apache-2.0
"""Open the database, a file or a PostgreSQL server, with durable commits and serialized writers."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
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


WRITERS_LOCK = 7_014_318
"""Key of the advisory lock with which writers on PostgreSQL take turns, as they do on SQLite by nature: what reads
first and writes later needs no second kind of reasoning. The ledger is small and its transactions take milliseconds."""

_NEEDS_A_DATABASE = (
    "Set PILOTHOUSE_HOME to a folder, or PILOTHOUSE_LEDGER to postgresql://USER@HOST/DATABASE."
)


def make_engine(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Return an engine whose connections commit durably, enforce foreign keys and wait for locks.

    Args:
        url: SQLAlchemy address of a SQLite file or a PostgreSQL database.
        busy_timeout_s: How long to wait for another writer, seconds.

    Raises:
        UsageError: The address is of another kind of database, or has no file.
    """
    address = _parse(url)
    if address.get_backend_name() == "postgresql":
        return _postgres(address, busy_timeout_s)
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


def _postgres(address: URL, busy_timeout_s: float) -> Engine:
    if find_spec("psycopg") is None:
        raise UsageError(
            "a ledger on PostgreSQL needs the driver psycopg, which is not installed",
            remedy="Type `pip install 'pilothouse[postgres]'`.",
            subject="ledger",
        )
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=POOL_CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=busy_timeout_s,
        pool_pre_ping=True,  # a restarted server is noticed before a transaction begins, not in the middle
        connect_args={
            "connect_timeout": max(2, int(busy_timeout_s)),
            "options": f"-c lock_timeout={int(busy_timeout_s * 1_000)} -c timezone=UTC",
        },
    )
    event.listen(engine, "begin", _on_postgres_begin)
    return engine


def database_subject(url: str) -> str:
    """Return the file or server of a ledger address for messages, without its password.

    Example:
        >>> database_subject("sqlite:////data/ledger.sqlite")
        '/data/ledger.sqlite'
        >>> database_subject("postgresql://pilot:secret@db.corp.example/ledger")
        'postgresql://pilot@db.corp.example/ledger'
    """
    address = _parse(url)
    if address.get_backend_name() == "postgresql":
        return URL.create(
            "postgresql",
            username=address.username,
            host=address.host,
            port=address.port,
            database=address.database,
        ).render_as_string()
    return str(address.database)


def _parse(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is None or address.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UsageError(
            "the address of the ledger is neither that of a SQLite file nor of a PostgreSQL database",
            remedy=_NEEDS_A_DATABASE,
            subject="ledger",
        )
    if address.get_backend_name() == "sqlite" and address.database in {None, "", ":memory:"}:
        raise UsageError(
            "the ledger needs a file; one in memory would forget every decision",
            remedy="Set PILOTHOUSE_HOME to a folder; tests use pilothouse.testing.MemoryLedger.",
            subject="ledger",
        )
    return address


def _on_connect(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late and not before DDL; ours begin where we say.
    connection.isolation_level = None
    try:
        _prepare(connection)
    except BaseException:
        connection.close()  # nobody else does: it never came to the pool
        raise


def _prepare(connection: Any) -> None:
    cursor = connection.cursor()
    try:
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # What is deleted is gone from the pages: the key of somebody who was erased must not stand in a free one.
        cursor.execute("PRAGMA secure_delete = ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch a new file to write-ahead logging; another process that does so at the same time does it for us too."""
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


def _on_postgres_begin(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITE_OPTION, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
