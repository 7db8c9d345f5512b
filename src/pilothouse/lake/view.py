# SPDX-License-Identifier: Apache-2.0
"""A snapshot for readers: committed files and rows still in memory, each row in exactly one of them."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pilothouse.errors import LimitExceeded, StorageUnavailable
from pilothouse.lake.columns import SPANS, TASKS
from pilothouse.lake.data_files import DataFile
from pilothouse.lake.trace_index import TraceIndex

__all__ = ["Database", "View"]

MEMORY_LIMIT = "1GiB"
"""DuckDB's share of the process."""

THREADS = 2
"""A query must not starve the intake."""

FLUSH_BYTES = "1MiB"
"""What a query used goes back to the system at its end when it was more than this. DuckDB keeps up to 128 MiB otherwise."""

FEW_FILES = 2
"""Up to so many files are read at once; a look for the right one would cost more than it saves."""

SMALL_ROWS = 4_096
"""A file of so few rows is read whole when one trace is looked up; merged ones are larger."""

INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C while it works; that somebody wants to stop is no fault of a query."""

TIMEOUT_S = 10.0
"""An interactive query that takes longer is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The tables at one moment; replaced as a whole, never changed.

    Attributes:
        span_files: Committed files of `spans`.
        task_files: Committed files of `tasks`.
        span_tail: Rows of `spans` that are in no file yet.
        task_tail: Rows of `tasks` that are in no file yet.
    """

    span_files: tuple[DataFile, ...] = ()
    task_files: tuple[DataFile, ...] = ()
    span_tail: tuple[pa.RecordBatch, ...] = ()
    task_tail: tuple[pa.RecordBatch, ...] = ()


_Answer = duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation

# A query that is executed is planned once and its rows are copied once more; a relation is planned twice, which for
# the 75 columns of `spans` costs more than copying a page.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result makes an extra copy")

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class Database:
    """DuckDB over the files and the in-memory rows of a view; stores no data itself.

    Attributes:
        traces: Which files hold which traces, as far as the writer of the lake has noted it.
    """

    def __init__(self) -> None:
        self.traces = TraceIndex()
        # DuckDB's own choice is `.tmp` where the process was started, for everybody to read, or nowhere if that may not be written.
        spill = tempfile.mkdtemp(prefix="pilothouse-")
        self._remove_spill = weakref.finalize(self, shutil.rmtree, spill, ignore_errors=True)
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "threads": THREADS,
                "allocator_background_threads": True,  # else what a query used stays until the next one
                "allocator_flush_threshold": FLUSH_BYTES,
                "allocator_bulk_deallocation_flush_threshold": FLUSH_BYTES,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "temp_directory": spill,
                "max_temp_directory_size": "4GiB",
            },
        )
        self._connection.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Close DuckDB."""
        self._connection.close()
        self._remove_spill()

    def run(self, view: View, sql: str, parameters: Sequence[Any] = (), *, is_long: bool = False) -> pa.Table:
        """Run one query; `spans` and `tasks` stand for the tables of the view.

        Args:
            view: What to read.
            sql: A SELECT over `spans` and `tasks`, with `?` for each parameter.
            parameters: Values.
            is_long: Whether many rows may come; they are then not copied once more, for some milliseconds more.

        Raises:
            LimitExceeded: It took longer than `TIMEOUT_S`.
            StorageUnavailable: A file is damaged or missing.
        """

        def question(cursor: duckdb.DuckDBPyConnection) -> _Answer:
            whole, values = self._define(cursor, view, sql) + sql, list(parameters)
            return cursor.sql(whole, params=values) if is_long else cursor.execute(whole, values)

        return self._ask(question)

    def files_of_trace(self, files: tuple[DataFile, ...], trace_id: str) -> tuple[DataFile, ...]:
        """Return the files that hold rows of a trace, by one narrow query, so that wide columns are read from few files.

        Raises:
            LimitExceeded: It took longer than `TIMEOUT_S`.
            StorageUnavailable: A file is damaged or missing.
        """
        if len(files) <= FEW_FILES or not _TRACE_ID.fullmatch(trace_id):
            return files
        holding, unknown = self.traces.split([file.path for file in files], trace_id)
        paths = set(holding)
        if len(unknown) <= FEW_FILES:
            paths.update(unknown)
        else:
            asked = [file for file in files if file.path in set(unknown)]
            sql = (
                "SELECT DISTINCT filename FROM "  # noqa: S608 - paths are the table's own, quoted
                f"read_parquet([{_listed(asked)}], hive_partitioning = false, filename = true) WHERE trace_id = ?"
            )
            found = self._ask(lambda cursor: cursor.execute(sql, [trace_id]))
            paths.update(str(path) for path in found.column("filename").to_pylist())
        return tuple(file for file in files if file.path in paths)

    def without_strangers(self, files: tuple[DataFile, ...], trace_id: str) -> tuple[DataFile, ...]:
        """Return the files that may hold rows of a trace, by the index alone."""
        if not _TRACE_ID.fullmatch(trace_id):
            return files
        holding, unknown = self.traces.split([file.path for file in files], trace_id)
        paths = {*holding, *unknown}
        return tuple(file for file in files if file.path in paths)

    def task_rows(self, view: View, trace_id: str) -> pa.Table | None:
        """Return the rows of `tasks` of one trace from a few small files, or None when there are more or larger ones.

        A query over fifty columns is planned for longer than a small file is read.

        Raises:
            StorageUnavailable: A file is damaged or missing.
        """
        if len(view.task_files) > FEW_FILES or any(file.rows > SMALL_ROWS for file in view.task_files):
            return None
        parts = []
        for file in view.task_files:
            try:
                read = pq.ParquetFile(file.path).read(use_threads=False)
                # A file that a deletion wrote again holds its texts as views, which Arrow cannot compare or filter.
                plain = read.cast(pa.schema([TASKS.field(name) for name in read.column_names]))
                rows = _of_trace(plain, trace_id)
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(f"{file.path}: {error}") from error
            days = pa.array([file.day] * rows.num_rows, pa.int32()).cast(pa.date32())
            parts.append(rows.append_column("day", days).select(TASKS.names).cast(TASKS))
        parts += [_of_trace(pa.Table.from_batches([tail]), trace_id) for tail in view.task_tail]
        return pa.concat_tables(parts) if parts else TASKS.empty_table()

    def _ask(self, question: Callable[[duckdb.DuckDBPyConnection], _Answer]) -> pa.Table:
        """Run a query within the time limit, translating errors of DuckDB."""
        cursor = self._connection.cursor()
        timer = threading.Timer(TIMEOUT_S, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            found = cast("pa.Table", question(cursor).to_arrow_table())
        except duckdb.InterruptException as error:
            raise LimitExceeded(
                f"the query took longer than {TIMEOUT_S:g} s and was stopped",
                remedy="Ask for a shorter window or one agent.",
            ) from error
        except duckdb.Error as error:
            raise _unreadable(error) from error
        except RuntimeError as error:
            if str(error) == INTERRUPTED:
                raise KeyboardInterrupt from error
            raise
        else:
            return found
        finally:
            timer.cancel()
            cursor.close()

    def _define(self, cursor: duckdb.DuckDBPyConnection, view: View, sql: str) -> str:
        parts = []
        for name, files, tail, schema in (
            ("spans", view.span_files, view.span_tail, SPANS),
            ("tasks", view.task_files, view.task_tail, TASKS),
        ):
            if name not in sql:
                continue
            # Naming all columns costs milliseconds of planning; two sources must name them to agree in their order.
            columns = ", ".join(schema.names) if files and tail else "*"
            sources = []
            if files:
                read = f"read_parquet([{_listed(files)}], hive_partitioning = true, hive_types = {{'day': DATE}})"
                sources.append(f"SELECT {columns} FROM {read}")  # noqa: S608 - paths are the table's own, quoted
            if tail or not files:
                cursor.register(f"{name}_tail", pa.Table.from_batches(tail, schema=schema))
                sources.append(f"SELECT {columns} FROM {name}_tail")  # noqa: S608 - names are constants
            parts.append(f"{name} AS ({' UNION ALL '.join(sources)})")
        return f"WITH {', '.join(parts)} " if parts else ""


def _of_trace(rows: pa.Table, trace_id: str) -> pa.Table:
    is_wanted: Any = pc.equal(rows.column("trace_id"), pa.scalar(trace_id))
    return rows.filter(is_wanted)


def _unreadable(error: Exception | str) -> StorageUnavailable:
    return StorageUnavailable(
        f"the lake could not be read: {error}",
        remedy="Name the damaged file, and set it aside: `pilothouse repair`.",
    )


def _listed(files: Sequence[DataFile]) -> str:
    return ", ".join("'" + file.path.replace("'", "''") + "'" for file in files)
