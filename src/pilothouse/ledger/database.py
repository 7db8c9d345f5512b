# SPDX-License-Identifier: Apache-2.0
"""Read and write transactions, on which every part of the ledger is built."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, Engine, text

from pilothouse.interruption import unbroken
from pilothouse.ledger.engine import WRITE_OPTION
from pilothouse.ledger.revision import refuse_other_revision
from pilothouse.ledger.translation import translated

__all__ = ["Database", "Repository"]

FORGET_WAIT_MS = 2_000
"""How long emptying the log waits for readers: writers wait with it, and a tool call may be one of them."""


class Database:
    """An opened ledger whose tables are up to date; safe to share between threads.

    Args:
        engine: Its engine.
        subject: The file, as messages name it.
    """

    def __init__(self, engine: Engine, subject: str) -> None:
        self.engine = engine
        self.subject = subject
        self._watcher: Connection | None = None
        self._watching = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only transaction: a consistent snapshot of the ledger."""
        with unbroken(), translated(self.subject), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction: durable when the block ends, or rolled back."""
        writing = self.engine.execution_options(**{WRITE_OPTION: True})
        with unbroken(), translated(self.subject), writing.begin() as connection:
            refuse_other_revision(connection, self.subject)
            yield connection

    @property
    def is_postgres(self) -> bool:
        """Whether the database is a PostgreSQL server, which has its own clock."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def write_no_news(self) -> Iterator[Connection]:
        """Open a write transaction that leaves `state` unchanged, such as a heartbeat every other second."""
        if self.is_postgres:
            with self.write() as connection:
                yield connection
            return
        with unbroken(), translated(self.subject), self._watching:
            watcher = self._own_connection().execution_options(**{WRITE_OPTION: True})
            with watcher.begin():
                refuse_other_revision(watcher, self.subject)
                yield watcher

    def state(self) -> str:
        """Return an opaque change token: it differs whenever this or another process has written something.

        It names no record: whoever holds the text of an earlier look and reads the same one now need not look again.
        """
        if self.is_postgres:
            with self.read() as connection:
                return str(connection.execute(text("SELECT pg_current_snapshot()")).scalar_one())
        with unbroken(), translated(self.subject), self._watching:
            watcher = self._own_connection().execution_options(**{WRITE_OPTION: False})
            with watcher.begin():
                return str(watcher.exec_driver_sql("PRAGMA data_version").scalar_one())

    def forget_log(self) -> bool:
        """Truncate SQLite's write-ahead log, which holds earlier versions of pages; return whether that was done.

        Who still reads an earlier state keeps it; then the log is emptied with the next writes. A server has its own `VACUUM`.
        """
        if self.is_postgres:
            return False
        with translated(self.subject), closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            waits_ms = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
            try:
                cursor.execute(f"PRAGMA busy_timeout = {FORGET_WAIT_MS}")
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {waits_ms}")
            return not busy

    def _own_connection(self) -> Connection:
        """Return the connection that watches: SQLite tells each what the *others* wrote, and none what it wrote itself."""
        if self._watcher is None:
            self._watcher = self.engine.connect()
            self._watcher.detach()  # it is kept, and takes nobody's place in the pool
        return self._watcher

    def close(self) -> None:
        """Close every connection; the object cannot be used afterwards."""
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self.engine.dispose()


class Repository:
    """Base of the classes that read and write tables of a ledger; safe to share between threads and processes."""

    def __init__(self, database: Database) -> None:
        self.database = database
