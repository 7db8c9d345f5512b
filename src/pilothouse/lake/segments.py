# SPDX-License-Identifier: Apache-2.0
"""One Delta table in a local folder: rows go in, small files become large ones, old rows go (rows → commits).

deltalake syncs nothing on a local disk and accepts the same transaction number twice. So the data file
is written and synced first, then its log entry; and whoever was told that a commit failed asks `holds_last()` before it
is tried again: what failed may have been the step after the commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
)
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from pilothouse.durable_file import fsync_path
from pilothouse.errors import StorageUnavailable
from pilothouse.lake.checksums import FileChecksums
from pilothouse.lake.data_files import DataFile, add_action, day_text, list_files, remove_action
from pilothouse.lake.merging import packed, plan_merge, read_batches
from pilothouse.lake.parquet_files import (
    GROUP_ROWS,
    MERGED_LEVEL,
    STATISTICS,
    new_path,
    write_merged,
    write_segment,
)

__all__ = ["SegmentTable"]

CHECKPOINT_EVERY = 100
"""Commits between two checkpoints of the log; reading it stays fast."""

VACUUM_HOURS = 24
"""Merged or expired files are kept so long for readers that opened an older version."""

DAYS_MAX = 100
"""Days in one commit, each a file that is synced: more than the default of 90 for which spans are kept. 4,000 spans on as many days
were 200 KiB to send and stopped the intake for two minutes."""

_PRUNED_BY = "delta.dataSkippingStatsColumns"
"""Which statistics of a file deltalake reads from the log; others it leaves out."""

_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""What deltalake does after a commit would make one fail that stands; here it is done apart."""

_REWRITTEN = WriterProperties(
    compression="ZSTD",
    compression_level=MERGED_LEVEL,
    max_row_group_size=GROUP_ROWS,
    column_properties={
        "trace_id": ColumnProperties(bloom_filter_properties=BloomFilterProperties(True, 0.01, GROUP_ROWS))
    },
)


class SegmentTable:
    """One Delta table in a local folder.

    Args:
        folder: The table's folder.
        schema: Its columns, `day` among them.
        on_file: Told the path and the rows of each file that was committed here.
        on_merge: Told the path of each file that a merge committed, and the paths of those whose rows it holds.

    Attributes:
        checksums: What the bytes of its files were.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        on_file: Callable[[str, pa.Table], None] = lambda _path, _rows: None,
        on_merge: Callable[[str, Sequence[str]], None] = lambda _path, _paths: None,
    ) -> None:
        self._on_file = on_file
        self._on_merge = on_merge
        self._folder = folder
        self._schema = schema
        self._stored = pa.schema([field for field in schema if field.name != "day"])
        self._packed = packed(self._stored)
        self._table: DeltaTable | None = None
        self._files: tuple[DataFile, ...] = ()
        self._files_version = -1
        self._commits = 0
        self._is_behind = False
        self._attempt: Sequence[DataFile] | None = None
        self._synced_version = -1
        self.checksums = FileChecksums(folder)

    @property
    def version(self) -> int:
        """Version of the table that was last seen; -1 before its first commit."""
        return -1 if self._table is None else self._table.version()

    def create(self) -> None:
        """Create the table unless it exists; in a table of an earlier release, new files get the present pruning statistics."""
        pruned_by = {_PRUNED_BY: ",".join(name for name in STATISTICS if name in self._schema.names)}
        made = self._open()
        try:
            if made is None:
                self._table = DeltaTable.create(
                    str(self._folder),
                    self._schema,
                    mode="ignore",
                    partition_by=["day"],
                    configuration={**pruned_by, "delta.logRetentionDuration": "interval 1 days"},
                )
            elif made.metadata().configuration.get(_PRUNED_BY) != pruned_by[_PRUNED_BY]:
                made.alter.set_table_properties(pruned_by)
            else:
                return
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        self._sync_log()

    def refresh(self) -> None:
        """Load commits of other processes."""
        table = self._open()
        if table is None:
            return
        try:
            table.update_incremental()
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        self._is_behind = False

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
            self._files = list_files(self._table, self._folder)
            self._files_version = self._table.version()
        return self._files

    def append(self, table: pa.Table, transactions: dict[str, int]) -> int:
        """Write rows and commit them with the transaction numbers; on the disk for good after `make_durable`.

        Args:
            table: Rows in the table's schema.
            transactions: Number reached, by application.

        Returns:
            The new version of the table.

        Raises:
            StorageUnavailable: Writing or committing failed; whether the rows are in all the same says `holds_last`.
        """
        try:
            return self._append(table, transactions)
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise _unavailable(self._folder, error) from error

    def holds_last(self) -> bool:
        """Return whether the rows of the last `append`, which failed, are in the table all the same.

        Raises:
            StorageUnavailable: The log cannot be read; until it can, nothing of them may be written again.
        """
        if self._attempt is None:
            return False
        self.refresh()
        named = {file.path for file in self.files()}
        is_held = any(file.path in named for file in self._attempt)
        self._attempt = None
        return is_held

    def make_durable(self) -> None:
        """Sync every commit to disk.

        Raises:
            StorageUnavailable: It could not be synced; the next call tries it again.
        """
        try:
            self._sync_log()
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    def small_files(self, *, files_min: int | None = None, over_before: int = 0) -> tuple[DataFile, ...]:
        """Return the files of the next merge, or none.

        Args:
            files_min: Files of about one size that are worth it; see `merging`.
            over_before: First day that is not over, days since 1970-01-01.
        """
        return plan_merge(self.files(), files_min=files_min, over_before=over_before)

    def merge(self, *, files_min: int | None = None, over_before: int = 0) -> int:
        """Merge some small files of one day into one, which is on the disk before they are taken out of the table.

        Old ones stay for readers until `vacuum`. One call is a second's work at most: call it until it returns 0.

        Args:
            files_min: Files of about one size that are worth it; see `merging`.
            over_before: First day that is not over, days since 1970-01-01.

        Returns:
            Files that are now one; 0 when nothing was worth it.

        Raises:
            StorageUnavailable: A file could not be read or written; the table stays as it was.
        """
        if self._attempt is not None:  # first it must be known which files there are
            return 0
        if self._is_behind:
            self.refresh()
        small = self.small_files(files_min=files_min, over_before=over_before)
        if small:
            try:
                self._merge(small)
                self._sync_log()
            except (DeltaError, OSError, pa.ArrowException) as error:
                raise _unavailable(self._folder, error) from error
        return len(small)

    def drop_files(self, paths: Collection[str]) -> int:
        """Take files out of the table without reading them; return how many it named.

        Args:
            paths: Files that cannot be read, or are gone.

        Raises:
            StorageUnavailable: The table could not be written.
        """
        gone = [file for file in self.files() if file.path in paths]
        if gone:
            try:
                self._commit([remove_action(file) for file in gone], [], added=[], removed=gone)
                self._sync_log()
            except (DeltaError, OSError) as error:
                raise _unavailable(self._folder, error) from error
        return len(gone)

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
        predicate = f"day < DATE '{day_text(before_day)}' AND {condition}"
        self._rewrite(lambda delta: delta.delete(predicate, writer_properties=_REWRITTEN))
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
        predicate = f"day < DATE '{day_text(before_day)}' AND {condition}"
        told = self._rewrite(
            lambda delta: delta.update(updates=values, predicate=predicate, writer_properties=_REWRITTEN)
        )
        return int(told.get("num_updated_rows", 0))

    def vacuum(self, hours: int = VACUUM_HOURS) -> int:
        """Delete files that no version younger than some hours needs; return how many.

        Also those that no version ever named: a process that was killed, or a disk that was full, between a file and its
        commit leaves one, and neither retention nor an erasure would reach what people wrote there.

        Args:
            hours: With 0, whoever reads an older version right now finds its files gone, and asks again.
        """
        delta = self._open()
        if delta is None:
            return 0
        try:
            gone = delta.vacuum(
                retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True
            )
            delta.create_checkpoint()
            delta.cleanup_metadata()
            self.checksums.keep([file.path for file in self.files()])
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        return len(gone)

    def _has_day_before(self, day: int) -> bool:
        return any(file.day < day for file in self.files())

    def _count(self) -> int:
        return sum(file.rows for file in self.files())

    def _rewrite(self, work: Callable[[DeltaTable], Any]) -> dict[str, Any]:
        """Let deltalake rewrite files, and sync the new ones."""
        delta = self._open()
        if delta is None:
            return {}
        if self._is_behind:
            self.refresh()
        before = {file.path for file in self.files()}
        try:
            self._is_behind = True
            told = work(delta)
            delta.update_incremental()
            self._is_behind = False
            now = {file.path for file in self.files()}
            # What was rewritten is there until it is vacuumed. Which file became which is not told, of which day it is.
            broken = {path.parent.name for path in map(Path, before - now) if self.checksums.is_broken(path)}
            for path in map(Path, sorted(now - before)):
                fsync_path(path)
                fsync_path(path.parent)
                self.checksums.note(path, is_sound=path.parent.name not in broken)
            self._sync_log()
        except (DeltaError, OSError) as error:
            raise _unavailable(self._folder, error) from error
        return dict(told or {})

    def _append(self, table: pa.Table, transactions: dict[str, int]) -> int:
        days = _few(table.column("day").combine_chunks().cast(pa.int32()))
        found: list[Any] = pc.unique(days).to_pylist()
        actions: list[AddAction | RemoveAction] = []
        files: list[DataFile] = []
        parts: list[pa.Table] = []
        for day in found:
            part = table if len(found) == 1 else table.filter(pc.equal(days, pa.scalar(day, pa.int32())))
            path = new_path(self._folder, day)
            action, file = add_action(path, day, write_segment(part.drop_columns(["day"]), path), is_new=True)
            self.checksums.note(path)
            actions.append(action)
            files.append(file)
            parts.append(part)
        self._attempt = files
        self._commit(
            actions, [Transaction(name, number) for name, number in transactions.items()], added=files
        )
        for file, part in zip(files, parts, strict=True):
            self._on_file(file.path, part)
        self._attempt = None
        return self.version

    def _merge(self, files: Sequence[DataFile]) -> None:
        for file in files:  # in a merged file what a disk has changed would look as if it had been so
            if self.checksums.is_broken(Path(file.path)):
                raise OSError(f"{file.path} is not what was written: `pilothouse repair` sets it aside")
        day = files[0].day
        path = new_path(self._folder, day)
        statistics = write_merged(read_batches(files, self._packed), self._packed, path)
        action, merged = add_action(path, day, statistics, is_new=False)
        self.checksums.note(path)
        self._commit([action, *map(remove_action, files)], [], added=[merged], removed=files)
        self._on_merge(merged.path, [file.path for file in files])

    def _commit(
        self,
        actions: list[AddAction | RemoveAction],
        transactions: list[Transaction],
        *,
        added: Sequence[DataFile],
        removed: Sequence[DataFile] = (),
    ) -> None:
        """Commit synced files to the Delta log."""
        delta = self._open()
        if delta is None:
            raise FileNotFoundError(self._folder)
        if self._is_behind:
            delta.update_incremental()
        self._is_behind = True
        known, before = self.files(), delta.version()
        delta.create_write_transaction(
            actions,
            mode="append",
            schema=self._schema,
            partition_by=["day"],
            commit_properties=CommitProperties(app_transactions=transactions),
            post_commithook_properties=_NO_HOOKS,
        )
        delta.update_incremental()
        self._is_behind = False
        if (
            delta.version() == before + 1
        ):  # nobody else wrote: what changed is known without listing all files
            gone = {file.path for file in removed}
            self._files = (*(file for file in known if file.path not in gone), *added)
            self._files_version = delta.version()
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY == 0:
            # It only makes the log quicker to read: a disk that is full here has not failed what is committed.
            with contextlib.suppress(DeltaError, OSError):
                delta.create_checkpoint()

    def _open(self) -> DeltaTable | None:
        if self._table is None and (self._folder / "_delta_log").is_dir():
            try:
                self._table = DeltaTable(str(self._folder))
            except TableNotFoundError:
                return None
            except (DeltaError, OSError) as error:
                raise _unavailable(self._folder, error) from error
        return self._table

    def _sync_log(self) -> None:
        """Sync the log entries since the last sync; of an earlier process only the newest, which a kill may have left unsynced."""
        log, version = self._folder / "_delta_log", self.version
        if version == self._synced_version:
            return
        first = version if self._synced_version < 0 else min(self._synced_version + 1, version)
        for number in range(first, version + 1):
            entry = log / f"{number:020d}.json"
            if entry.exists():
                fsync_path(entry)
        fsync_path(log)
        self._synced_version = version


def _few(days: Any) -> Any:
    """Return the partition day of each row: its own, or the newest day when there are too many days."""
    counted: list[Any] = pc.value_counts(days).to_pylist()
    if len(counted) <= DAYS_MAX:
        return days
    newest = max(one["values"] for one in counted)
    often = sorted(counted, key=lambda one: (one["counts"], one["values"]), reverse=True)[: DAYS_MAX - 1]
    kept = pa.array([newest, *(one["values"] for one in often)], pa.int32())
    return pc.if_else(pc.is_in(days, value_set=kept), days, pa.scalar(newest, pa.int32()))


def _unavailable(folder: Path, error: Exception) -> StorageUnavailable:
    return StorageUnavailable(
        f"the table {folder.name!r} cannot be used: {error}",
        remedy=f"Check the folder {folder} and the disk; trying again is safe.",
        subject=str(folder),
    )
