# SPDX-License-Identifier: Apache-2.0
"""Find files of the tables that cannot be read, and take them out, so that everything else can be read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.columns import SPANS, TASKS
from pilothouse.lake.data_files import DataFile, day_text
from pilothouse.lake.lock import WriterLock
from pilothouse.lake.segments import SegmentTable

__all__ = ["ASIDE", "DamagedFile", "damaged_files", "set_aside"]

ASIDE = "quarantine"
"""Folder in the lake for what was taken out; a person decides what becomes of it."""

FAULT_CHARS_MAX = 300

_SCHEMAS = {"tasks": TASKS, "spans": SPANS}


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedFile:
    """A file of a table that cannot be read.

    Attributes:
        table: `tasks` or `spans`.
        path: The file.
        day: Day of its rows, ISO 8601.
        rows: Rows that the table says it has.
        fault: What reading it says.
    """

    table: str
    path: str
    day: str
    rows: int
    fault: str


def damaged_files(lake_folder: Path, *, is_whole: bool) -> tuple[DamagedFile, ...]:
    """Return the files that cannot be read, tasks first.

    Args:
        lake_folder: Folder of the lake.
        is_whole: Whether each file is read to its end, which takes as long as the disk; otherwise only how it ends.

    Raises:
        StorageUnavailable: The log of a table cannot be read.
    """
    found = []
    for name, schema in _SCHEMAS.items():
        table = SegmentTable(lake_folder / name, schema)
        table.refresh()
        for file in sorted(table.files(), key=lambda one: (one.day, one.path)):
            fault = _fault(file, is_whole=is_whole)
            if fault:
                found.append(
                    DamagedFile(
                        table=name, path=file.path, day=day_text(file.day), rows=file.rows, fault=fault
                    )
                )
    return tuple(found)


def set_aside(lake_folder: Path, damaged: Sequence[DamagedFile], *, on_record: Callable[[], None]) -> None:
    """Move damaged files to `ASIDE` and take them out of their tables.

    A kill in between leaves a table that names a file which is gone: it is found again and taken out by the next call.

    Args:
        lake_folder: Folder of the lake, which nobody may be writing.
        damaged: What `damaged_files` found.
        on_record: Puts on record what is set aside, before it is: said to be gone and not gone yet is better than the reverse.

    Raises:
        Conflict: Another process writes the lake.
        StorageUnavailable: A file cannot be moved, or the table not written.
    """
    lock = WriterLock(lake_folder)
    try:
        on_record()
        for name, schema in _SCHEMAS.items():
            paths = {one.path for one in damaged if one.table == name}
            if not paths:
                continue
            place = lake_folder / ASIDE / name
            place.mkdir(parents=True, exist_ok=True)
            for path in map(Path, sorted(paths)):
                if path.exists():
                    path.rename(place / f"{path.parent.name}-{path.name}")
            table = SegmentTable(lake_folder / name, schema)
            table.refresh()
            table.drop_files(paths)
    except OSError as error:
        raise StorageUnavailable(
            f"a damaged file could not be set aside: {error}",
            remedy=f"Check the folder {lake_folder} and the disk; trying again is safe.",
            subject=str(lake_folder),
        ) from error
    finally:
        lock.release()


def _fault(file: DataFile, *, is_whole: bool) -> str:
    try:
        with pq.ParquetFile(file.path) as opened:
            rows = opened.metadata.num_rows
            if is_whole:
                rows = sum(batch.num_rows for batch in opened.iter_batches())
    except (OSError, pa.ArrowException, ValueError) as error:
        return " ".join(str(error).split())[:FAULT_CHARS_MAX] or type(error).__name__
    return "" if rows == file.rows else f"it has {rows:,} rows and the table says {file.rows:,}"
