# SPDX-License-Identifier: Apache-2.0
"""Scorer of SQL: the answered query returns what the expected one returns, asked of a small SQLite database that nobody can change."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.json_text import value_or_text
from pilothouse.evals.score import Score, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.scorer import FunctionScorer
from pilothouse.evals.scorers.text import has_field
from pilothouse.evals.trial import Reply, Result

__all__ = ["sql_equal"]

ROWS_MAX: Final = 10_000
"""Rows of a result: an answer to a person's question is no dump of a table."""

VALUE_BYTES_MAX: Final = 1_000_000
"""Bytes of one value and of one statement: a query could make a text as large as the memory."""

RESULT_CHARS_MAX: Final = 10_000_000
"""Characters of all rows of a result, as they are compared: ten thousand values of the largest size are ten gigabytes."""

COLUMNS_MAX: Final = 200
"""Columns of a result: a row is whole in memory before anybody can count its bytes."""

STEPS_MAX: Final = 50_000_000
"""Steps of SQLite's machine for a query, some seconds: a join without a condition never ends. A number of steps ends the same query on
every machine."""

STEPS_BETWEEN: Final = 10_000
"""Steps between two looks at their number."""

SECONDS_MAX: Final = 25.0
"""Seconds for a query: one step may search a large value for another one. Two queries fit into the time of a scorer."""

DATABASE_BYTES_MAX: Final = 100_000_000
"""Bytes of a database: it is a fixture, read once to know which form of it was asked."""

_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
"""All that a query may do: no file is opened, and nothing is written."""

_BUILDING_NOT: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
"""What a script that builds the database may not do: it would open files of its own."""

_WAL: Final = b"\x02\x02"
"""Bytes 18 and 19 of a file whose newest rows stand in another one beside it."""

_FENCE: Final = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
"""How models write code."""


class _Failed(Exception):
    """A query that returns nothing that could be compared, in words."""


def sql_equal(*, database: str, field: str | None = None, ordered: bool = False) -> FunctionScorer:
    """Right when the answered query returns the same rows as the expected one; names of columns say nothing.

    `expected` is a query, or the rows themselves as a list of lists. Numbers are equal to twelve digits.

    Args:
        database: SQLite file, or a `.sql` script that builds it; looked for in the folder where the command runs.
        field: The query stands in this field of the output.
        ordered: Whether the order of rows counts; it does where the question asks for one.

    Raises:
        UsageError: There is no such file, it is too large, or the script does not run.
    """
    path = Path(database)
    source = _Source(path, _content(path))
    with source.opened():
        pass  # whatever is wrong with it is said before anything is spent
    args = {
        "database": hashlib.sha256(source.content).hexdigest(),
        "field": field,
        "ordered": ordered,
        "library": sqlite3.sqlite_version,
    }

    def rule(case: Case, reply: Reply, _result: Result) -> Score | Awaitable[Score]:
        if not isinstance(case.expected, str | list):
            return unscored(Unscored.NOT_APPLICABLE, "the case expects neither a query nor rows")
        output = value_or_text(reply.output) if field and isinstance(reply.output, str) else reply.output
        query = output[field] if field and has_field(output, field) else output
        if not isinstance(query, str):
            return failed("the answer is no query")
        return asyncio.to_thread(_compare, source, query, case.expected, ordered)

    return FunctionScorer("sql_equal", rule, args)


class _Source:
    """A database that is opened anew for each comparison: what one query leaves behind, no other one sees."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.content = content
        self._path = path

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(":memory:")) as database:
            try:
                if self._path.suffix == ".sql":
                    database.set_authorizer(_but_files)
                    database.executescript(self.content.decode())
                else:
                    database.deserialize(self.content)
                    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise UsageError(
                    f"{str(self._path)!r} is no database: {error}.",
                    remedy="Give a SQLite file, or a script of statements that builds one, named *.sql.",
                    subject=str(self._path),
                ) from error
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
            database.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, COLUMNS_MAX)
            database.set_authorizer(_only_reading)
            yield database


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= DATABASE_BYTES_MAX else None
    except OSError as error:
        raise UsageError(
            f"the database {str(path)!r} cannot be read ({error.strerror}).",
            remedy="Name it from the folder where the command runs.",
            subject=str(path),
        ) from error
    if content is None:
        raise UsageError(
            f"the database {str(path)!r} has {size:,} bytes, at most {DATABASE_BYTES_MAX:,} are read.",
            remedy="Keep the rows that the cases are about.",
            subject=str(path),
        )
    if path.suffix != ".sql" and content[18:20] == _WAL:
        raise UsageError(
            f"the database {str(path)!r} may have its newest rows in another file (WAL).",
            remedy="Run `PRAGMA journal_mode = DELETE` in it once, so that the file holds everything.",
            subject=str(path),
        )
    return content


def _only_reading(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _but_files(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in _BUILDING_NOT else sqlite3.SQLITE_OK


def _compare(source: _Source, query: str, expected: str | list[Any], ordered: bool) -> Score:
    try:
        with source.opened() as database:
            wanted = _wanted(database, expected)
            found = _rows(database, query)
    except TimeoutError as error:
        return unscored(Unscored.TIMEOUT, str(error))
    except _Failed as error:
        return failed(f"the query fails: {error}")
    if ordered and wanted != found and Counter(wanted) == Counter(found):
        return failed("the rows stand in another order")
    missing, others = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    if not missing and not others:
        return passed()
    return failed(
        f"{len(found)} rows, expected {len(wanted)}: {missing.total()} are missing, {others.total()} are others"
    )


def _wanted(database: sqlite3.Connection, expected: str | list[Any]) -> list[tuple[str, ...]]:
    try:
        return _rows(database, expected) if isinstance(expected, str) else [_row(one) for one in expected]
    except (_Failed, TypeError) as error:
        raise ValueError(f"the expectation is neither a query nor rows: {error}") from error


def _rows(database: sqlite3.Connection, query: str) -> list[tuple[str, ...]]:
    """Return the rows of a query.

    Raises:
        _Failed: It returns nothing that could be compared.
        TimeoutError: It takes too long, on this machine today.
    """
    fenced = _FENCE.match(query)
    steps = 0

    def is_too_long() -> int:
        nonlocal steps
        steps += STEPS_BETWEEN
        return int(steps > STEPS_MAX)

    database.set_progress_handler(is_too_long, STEPS_BETWEEN)
    clock = threading.Timer(SECONDS_MAX, database.interrupt)
    clock.start()
    try:
        return _read(database.execute(fenced[1] if fenced else query))
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if steps > STEPS_MAX:
            raise _Failed(f"no result within {STEPS_MAX:,} steps") from error
        if not clock.is_alive():
            raise TimeoutError(f"no result within {SECONDS_MAX:g} s") from error
        raise _Failed(str(error)) from error
    finally:
        clock.cancel()
        clock.join()  # what is interrupted after it was closed would be freed memory


def _read(found: sqlite3.Cursor) -> list[tuple[str, ...]]:
    if found.description is None:  # a comment, or nothing: no rows of it would equal no rows of a query
        raise _Failed("it is no query")
    rows, size = [], 0
    for one in found:
        rows.append(_row(one))
        size += sum(map(len, rows[-1]))
        if len(rows) > ROWS_MAX:
            raise _Failed(f"more than {ROWS_MAX:,} rows")
        if size > RESULT_CHARS_MAX:
            raise _Failed(f"more than {RESULT_CHARS_MAX:,} characters")
    return rows


def _row(values: Sequence[Any]) -> tuple[str, ...]:
    """Return a row so that equal values are equal texts.

    Raises:
        TypeError: It is no row.
    """
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} is no row")
    return tuple(_value(one) for one in values)


def _value(value: Any) -> str:
    if isinstance(value, bool):  # SQLite has none: what is written true in JSON is 1 there
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return f"{value:.12g}" if isinstance(value, float) else repr(value)
