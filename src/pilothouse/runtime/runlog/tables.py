# SPDX-License-Identifier: Apache-2.0
"""The tables of the run log, laid out so that what is new is appended, whatever the ids of runs look like.

Ids of runs are random, so rows in their order would each go to another page of the file. A run therefore has a number
here, events and pieces are kept under it, and only one small index is written at random.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pilothouse.durable_file import private_folder

__all__ = ["HEAD", "connect", "insert_rows", "parts", "rows_of", "transaction"]

LAYOUT = 4
"""`user_version` of a file in this layout; files of the ones before say 0, 2 and 3."""

HEAD = (
    "id",
    "run",
    "agent",
    "version",
    "identity",
    "state",
    "opened_ns",
    "last_ns",
    "events",
    "calls",
    "bodies",
    "lost",
    "draws",
    "taps",
    "subject",
    "head",
    "key",
)
"""Columns of a run; `key` is the number of the key of a run that is its own subject, where it was made ahead."""

OPEN_RUNS = "CREATE INDEX run_open ON run (id) WHERE state = 'open'"
"""Runs that go on, so that who looks for those that do not looks through an hour of them and not through a month. By number
and not by their last event: a call would move its run in the index each time."""

SCHEMA = (
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, version TEXT, identity TEXT NOT NULL,
        state TEXT NOT NULL, opened_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, events INTEGER NOT NULL,
        calls INTEGER NOT NULL, bodies INTEGER NOT NULL, lost INTEGER NOT NULL, draws INTEGER NOT NULL,
        taps TEXT NOT NULL, subject TEXT NOT NULL, head TEXT NOT NULL, key INTEGER)""",
    "CREATE INDEX run_opened ON run (opened_ns)",
    "CREATE INDEX run_subject ON run (subject) WHERE subject <> run",
    OPEN_RUNS,
    """CREATE TABLE event (
        id INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL,
        tap TEXT NOT NULL, call TEXT NOT NULL, digest TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (id, seq)
    ) WITHOUT ROWID""",
    "CREATE TABLE piece (id INTEGER NOT NULL, address BLOB NOT NULL, content BLOB NOT NULL)",
    "CREATE INDEX piece_of ON piece (id)",
)

_WITHOUT_OPEN_RUNS = 2
_WITHOUT_KEY = 3
_OLD_HEAD = ", ".join(HEAD[1:-1])
MOVED = (
    f"INSERT INTO run ({_OLD_HEAD}) SELECT {_OLD_HEAD} FROM old_run ORDER BY opened_ns, run",  # noqa: S608 - our own columns
    """INSERT INTO event SELECT run.id, seq, kind, at_ns, mono_ns, tap, call, digest, data
        FROM old_event JOIN run USING (run) ORDER BY run.id, seq""",
    "INSERT INTO piece SELECT run.id, address, content FROM old_piece JOIN run USING (run) ORDER BY run.id",
    *(f"DROP TABLE old_{name}" for name in ("run", "event", "piece")),
)

Row = TypeVar("Row")

ROWS_MAX = 64
"""Rows of one statement: 576 values for events, and SQLite of any age takes 999."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for one thread at a time; writers of several processes wait for each other.

    A file of the layout before is laid out anew, in one transaction.

    Args:
        path: The file; made when it is not there.
    """
    private_folder(path.parent)
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if _layout(connection) < LAYOUT:
        _lay_out(connection)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block or nothing of it, also when the commit itself fails and leaves the transaction open.

    Args:
        connection: The file, with no transaction open.

    Raises:
        sqlite3.Error: Nothing was written, and the next transaction can begin.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def rows_of(connection: sqlite3.Connection, runs: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of runs, with the columns of `HEAD`; unknown runs are left out.

    Args:
        connection: The file.
        runs: Ids.
    """
    columns = ", ".join(HEAD)
    for part in parts(runs):
        yield from connection.execute(
            f"SELECT {columns} FROM run WHERE run IN ({', '.join('?' * len(part))})",  # noqa: S608 - our own columns
            part,
        )


def insert_rows(
    connection: sqlite3.Connection,
    into: str,
    rows: Sequence[tuple[object, ...]],
    otherwise: str = "",
    *,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Insert rows with few statements.

    The interpreter is given to another thread and taken back at each statement, and that other thread is the one that
    answers calls.

    Args:
        connection: The file.
        into: Table, with its columns.
        rows: Values.
        otherwise: What follows the values.
        between: Called after each statement.
    """
    for part in parts(rows):
        one = f"({', '.join('?' * len(part[0]))})"
        connection.execute(
            f"INSERT INTO {into} VALUES {', '.join([one] * len(part))} {otherwise}",  # noqa: S608 - our own tables
            [value for row in part for value in row],
        )
        between()


def parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows into parts whose sizes are powers of two, so that there are few different statements.

    Args:
        rows: Any number of them.

    Example:
        >>> [len(part) for part in parts(range(70))]
        [64, 4, 2]
    """
    at, size = 0, ROWS_MAX
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        yield rows[at : at + size]
        at += size


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _lay_out(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        found = _layout(connection)
        if found >= LAYOUT:
            return  # another process was quicker
        if found == _WITHOUT_OPEN_RUNS:
            connection.execute(OPEN_RUNS)
        if found in {_WITHOUT_OPEN_RUNS, _WITHOUT_KEY}:
            connection.execute("ALTER TABLE run ADD COLUMN key INTEGER")
        else:
            _make_tables(connection)
        connection.execute(f"PRAGMA user_version = {LAYOUT}")


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, and move what stands in those of the first layout."""
    is_old = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone() is not None
    if is_old:
        for name in ("run", "event", "piece"):
            connection.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
        for name in ("run_opened", "run_subject"):
            connection.execute(f"DROP INDEX {name}")
    for statement in (*SCHEMA, *(MOVED if is_old else ())):
        connection.execute(statement)
