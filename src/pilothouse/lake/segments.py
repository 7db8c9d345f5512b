# SPDX-License-Identifier: Apache-2.0
"""Append Arrow batches to a Delta table as Parquet files that are on the disk before the log names them.

deltalake syncs nothing on a local disk and accepts the same transaction number twice. So the data file
is written and synced here, then its log entry; and the caller asks `committed()` before it writes.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
)
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.columns import DICTIONARY_COLUMNS

__all__ = ["EPOCH", "DataFile", "SegmentTable"]

STATISTICS = ("trace_id", "agent", "start_ns", "end_ns", "received_ns", "seq", "revision")
"""Columns with minimum and maximum in the log, which queries prune by."""

CHECKPOINT_EVERY = 100
"""Commits between two checkpoints of the log; reading it stays fast."""

SMALL_ROWS = 200_000
"""A file with fewer rows is worth merging."""

COMPACT_FILES_MIN = 200
"""Small files of one day that start a merge: each one costs a query about a tenth of a millisecond."""

COMPACT_BYTES = 128 << 20
"""Size of a merged file."""

VACUUM_HOURS = 24
"""Merged or expired files are kept so long for readers that opened an older version."""

_COMPACTED = WriterProperties(
    compression="ZSTD",
    compression_level=3,
    max_row_group_size=65_536,
    column_properties={
        "trace_id": ColumnProperties(bloom_filter_properties=BloomFilterProperties(True, 0.01, 65_536))
    },
)

EPOCH = date(1970, 1, 1)
"""Day 0 of the partition column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        path: Absolute path.
        rows: Rows in it.
        day: Partition, days since 1970-01-01.
        start_min: Smallest `start_ns`.
        start_max: Largest `start_ns`.
        revision_max: Largest `revision` (tasks only); 1 when it is not known.
    """

    path: str
    rows: int
    day: int
    start_min: int
    start_max: int
    revision_max: int = 0


class SegmentTable:
    """One Delta table in a local folder.

    Args:
        folder: The table's folder.
        schema: Its columns, `day` among them.
        on_file: Told the path and the rows of each file that was committed here.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        on_file: Callable[[str, pa.Table], None] = lambda _path, _rows: None,
    ) -> None:
        self._on_file = on_file
        self._folder = folder
        self._schema = schema
        self._stored = pa.schema([field for field in schema if field.name != "day"])
        self._table: DeltaTable | None = None
        self._files: tuple[DataFile, ...] = ()
        self._files_version = -1
        self._commits = 0
        self._dictionary = [name for name in DICTIONARY_COLUMNS if name in schema.names]

    @property
    def version(self) -> int:
        """Version of the table that was last seen; -1 before its first commit."""
        return -1 if self._table is None else self._table.version()

    def create(self) -> None:
        """Make the table unless it is there."""
        if self._open() is not None:
            return
        try:
            self._table = DeltaTable.create(
                str(self._folder),
                self._schema,
                mode="ignore",
                partition_by=["day"],
                configuration={
                    "delta.dataSkippingStatsColumns": ",".join(
                        name for name in STATISTICS if name in self._schema.names
                    ),
                    "delta.logRetentionDuration": "interval 1 days",
                },
            )
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        self._sync_log()

    def refresh(self) -> None:
        """Read what others have committed since."""
        table = self._open()
        if table is None:
            return
        try:
            table.update_incremental()
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error

    def committed(self, app_id: str) -> int:
        """Return the transaction number that the application last committed; -1 when none."""
        if self._table is None:
            return -1
        found = self._table.transaction_version(app_id)
        return -1 if found is None else int(found)

    def files(self) -> tuple[DataFile, ...]:
        """Return the files of the version last seen, any order."""
        if self._table is None:
            return ()
        if self._files_version != self._table.version():
            self._files = self._list_files(self._table)
            self._files_version = self._table.version()
        return self._files

    def append(self, table: pa.Table, transactions: dict[str, int]) -> int:
        """Write rows and commit them with the transaction numbers; durable when it returns.

        Args:
            table: Rows in the table's schema.
            transactions: Number reached, by application.

        Returns:
            The new version of the table.

        Raises:
            StorageUnavailable: Writing or committing failed; nothing of it is visible.
        """
        try:
            return self._append(table, transactions)
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise _unavailable(self._folder, error) from error

    def compact(self, files_min: int | None = None) -> int:
        """Merge the small files of each day that has many of them.

        The merged files are on the disk before this returns. Old ones stay for readers until `vacuum`.

        Args:
            files_min: Small files of a day that are worth it; `COMPACT_FILES_MIN` when None.

        Returns:
            Files that were merged away.
        """
        small: dict[int, int] = {}
        for file in self.files():
            if file.rows < SMALL_ROWS:
                small[file.day] = small.get(file.day, 0) + 1
        before = len(self.files())
        for day, count in small.items():
            if count >= (COMPACT_FILES_MIN if files_min is None else files_min):
                self._rewrite(partial(_compact_day, day=day))
        return max(0, before - len(self.files()))

    def remove(self, before_day: int, condition: str) -> int:
        """Remove the rows of days that are over, whole files where a whole day goes.

        Args:
            before_day: First day that is kept, days since 1970-01-01.
            condition: Which rows, as SQL over the columns.

        Returns:
            Rows that were removed.
        """
        if not self._has_day_before(before_day):
            return 0
        rows = self._count()
        predicate = f"day < DATE '{_day_text(before_day)}' AND {condition}"
        self._rewrite(lambda delta: delta.delete(predicate, writer_properties=_COMPACTED))
        return rows - self._count()

    def empty(self, values: dict[str, str], before_day: int, condition: str) -> int:
        """Put other values into columns of the rows of days that are over.

        Args:
            values: Column → SQL of its new value.
            before_day: First day that is left alone, days since 1970-01-01.
            condition: Which rows, as SQL over the columns.

        Returns:
            Rows that were changed.
        """
        if not self._has_day_before(before_day):
            return 0
        predicate = f"day < DATE '{_day_text(before_day)}' AND {condition}"
        told = self._rewrite(
            lambda delta: delta.update(updates=values, predicate=predicate, writer_properties=_COMPACTED)
        )
        return int(told.get("num_updated_rows", 0))

    def vacuum(self) -> int:
        """Delete files that no version younger than a day needs; return how many."""
        delta = self._open()
        if delta is None:
            return 0
        try:
            gone = delta.vacuum(retention_hours=VACUUM_HOURS, dry_run=False, enforce_retention_duration=False)
            delta.create_checkpoint()
            delta.cleanup_metadata()
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        return len(gone)

    def _has_day_before(self, day: int) -> bool:
        return any(file.day < day for file in self.files())

    def _count(self) -> int:
        return sum(file.rows for file in self.files())

    def _rewrite(self, work: Callable[[DeltaTable], Any]) -> dict[str, Any]:
        """Let deltalake rewrite files, and have the new ones on the disk before this returns."""
        delta = self._open()
        if delta is None:
            return {}
        before = {file.path for file in self.files()}
        try:
            told = work(delta)
            delta.update_incremental()
            for file in self.files():
                if file.path not in before:
                    _sync(Path(file.path))
                    _sync(Path(file.path).parent)
            self._sync_log()
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        return dict(told or {})

    def _append(self, table: pa.Table, transactions: dict[str, int]) -> int:
        days = table.column("day").combine_chunks().cast(pa.int32())
        found: list[Any] = pc.unique(days).to_pylist()
        actions: list[AddAction | RemoveAction] = []
        written: dict[str, pa.Table] = {}
        for day in found:
            part = table if len(found) == 1 else table.filter(pc.equal(days, pa.scalar(day, pa.int32())))
            actions.append(self._write_file(part.drop_columns(["day"]), int(day)))
            written[str(self._folder / actions[-1].path)] = part
        delta = self._open()
        if delta is None:
            raise FileNotFoundError(self._folder)
        properties = CommitProperties(
            app_transactions=[Transaction(name, number) for name, number in transactions.items()]
        )
        delta.create_write_transaction(
            actions, mode="append", schema=self._schema, partition_by=["day"], commit_properties=properties
        )
        delta.update_incremental()
        self._sync_log()
        for path, part in written.items():
            self._on_file(path, part)
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY == 0:
            delta.create_checkpoint()
        return int(delta.version())

    def _write_file(self, table: pa.Table, day: int) -> AddAction:
        name = f"day={_day_text(day)}"
        folder = self._folder / name
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _sync(self._folder)
        path = folder / f"part-{time.time_ns():020d}-{secrets.token_hex(6)}.parquet"
        pq.write_table(
            table,
            path,
            compression="lz4",
            use_dictionary=self._dictionary,  # type: ignore[arg-type]  # the stub knows bool only; a list of columns is documented
            write_statistics=[column for column in STATISTICS if column in table.column_names],
            store_schema=False,
            bloom_filter_options={"trace_id": {"ndv": max(1, table.num_rows), "fpp": 0.01}},
        )
        _sync(path)
        _sync(folder)
        return AddAction(
            f"{name}/{path.name}",
            path.stat().st_size,
            {"day": _day_text(day)},
            time.time_ns() // 1_000_000,
            True,
            json.dumps(_statistics(table)),
        )

    def _open(self) -> DeltaTable | None:
        if self._table is None and (self._folder / "_delta_log").is_dir():
            try:
                self._table = DeltaTable(str(self._folder))
            except TableNotFoundError:
                return None
            except (DeltaError, OSError) as error:
                raise _unavailable(self._folder, error) from error
        return self._table

    def _list_files(self, table: DeltaTable) -> tuple[DataFile, ...]:
        actions = pa.table(table.get_add_actions(flatten=True))
        names = set(actions.column_names)

        def column(name: str, otherwise: Any) -> Sequence[Any]:
            if name not in names:
                return [otherwise] * actions.num_rows
            return actions.column(name).to_pylist()

        return tuple(
            DataFile(
                path=str(self._folder / path),
                rows=rows or 0,
                day=(day - EPOCH).days if isinstance(day, date) else (date.fromisoformat(day) - EPOCH).days,
                start_min=low if low is not None else 0,
                start_max=high if high is not None else (1 << 63) - 1,
                revision_max=revision if revision is not None else 1,
            )
            for path, rows, day, low, high, revision in zip(
                column("path", ""),
                column("num_records", 0),
                column("partition.day", "1970-01-01"),
                column("min.start_ns", None),
                column("max.start_ns", None),
                column("max.revision", None),
                strict=True,
            )
        )

    def _sync_log(self) -> None:
        log = self._folder / "_delta_log"
        version = self.version
        entry = log / f"{version:020d}.json"
        if entry.exists():
            _sync(entry)
        _sync(log)


def _compact_day(delta: DeltaTable, *, day: int) -> dict[str, Any]:
    return delta.optimize.compact(
        partition_filters=[("day", "=", _day_text(day))],
        target_size=COMPACT_BYTES,
        max_concurrent_tasks=1,
        writer_properties=_COMPACTED,
    )


def _day_text(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


def _statistics(table: pa.Table) -> dict[str, Any]:
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in STATISTICS:
        if name in table.column_names:
            column = table.column(name)
            ends: Any = pc.min_max(column).as_py()
            nulls[name] = column.null_count
            if ends["min"] is not None:
                low[name], high[name] = ends["min"], ends["max"]
    return {"numRecords": table.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unavailable(folder: Path, error: Exception) -> StorageUnavailable:
    return StorageUnavailable(
        f"the table {folder.name!r} cannot be used: {error}",
        remedy=f"Check the folder {folder} and the disk; trying again is safe.",
        subject=str(folder),
    )
