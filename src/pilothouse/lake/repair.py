# SPDX-License-Identifier: Apache-2.0
"""Find unreadable or corrupted table files and take them out, so that everything else can be read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.checksums import FileChecksums
from pilothouse.lake.columns import SPANS, TASKS
from pilothouse.lake.data_files import DataFile, day_text
from pilothouse.lake.lock import WriterLock
from pilothouse.lake.segments import SegmentTable

__all__ = ["ASIDE", "SCHEMAS", "DamagedFile", "ScrubReport", "scrub_file", "scrub_files", "set_aside"]

ASIDE = "quarantine"
"""Folder in the lake for what was taken out; a person decides what becomes of it."""

FAULT_CHARS_MAX = 300

SCHEMAS = {"tasks": TASKS, "spans": SPANS}
"""Columns of each table of a lake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedFile:
    """A file of a table that cannot be read, or is not what was written.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What scrubbing the files of a lake found.

    Attributes:
        damaged: Files that cannot be read or are not what was written, tasks first.
        unrecorded: Other files without a recorded checksum: in them only unreadable parts are found.
    """

    damaged: tuple[DamagedFile, ...]
    unrecorded: int


def scrub_files(lake_folder: Path, *, is_whole: bool) -> ScrubReport:
    """Check every file of a lake for damage.

    Args:
        lake_folder: Folder of the lake.
        is_whole: Whether each file is read to its end, at the speed of the disk; otherwise only its footer.

    Raises:
        StorageUnavailable: The log of a table cannot be read.
    """
    found, unrecorded = [], 0
    for name, schema in SCHEMAS.items():
        table = SegmentTable(lake_folder / name, schema)
        table.refresh()
        for file in sorted(table.files(), key=lambda one: (one.day, one.path)):
            damaged = scrub_file(name, file, table.checksums, is_whole=is_whole)
            unrecorded += not damaged and not table.checksums.is_known(Path(file.path))
            if damaged:
                found.append(damaged)
    return ScrubReport(damaged=tuple(found), unrecorded=unrecorded)


def scrub_file(table: str, file: DataFile, checksums: FileChecksums, *, is_whole: bool) -> DamagedFile | None:
    """Return what is wrong with a file, or None.

    Args:
        table: `tasks` or `spans`.
        file: The file, as the table names it.
        checksums: Checksums of the table's files as they were written.
        is_whole: Whether it is read to its end; otherwise only its footer.
    """
    fault = _fault(file, checksums, is_whole=is_whole)
    day = day_text(file.day)
    return DamagedFile(table=table, path=file.path, day=day, rows=file.rows, fault=fault) if fault else None


def set_aside(lake_folder: Path, damaged: Sequence[DamagedFile], *, on_record: Callable[[], None]) -> None:
    """Move damaged files to `ASIDE` and take them out of their tables.

    A kill in between leaves a table that names a missing file; the next call finds it and takes it out.

    Args:
        lake_folder: Folder of the lake, which nobody may be writing.
        damaged: What `scrub_files` found.
        on_record: Records what is set aside, before it happens: a record of a file that is still there is better than the reverse.

    Raises:
        Conflict: Another process writes the lake.
        StorageUnavailable: A file cannot be moved, or the table not written.
    """
    lock = WriterLock(lake_folder)
    try:
        on_record()
        for name, schema in SCHEMAS.items():
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


def _fault(file: DataFile, checksums: FileChecksums, *, is_whole: bool) -> str:
    try:
        is_broken = is_whole and checksums.is_broken(Path(file.path))
        with pq.ParquetFile(file.path) as opened:
            rows = opened.metadata.num_rows
            if is_whole and (is_broken or not checksums.is_known(Path(file.path))):
                rows = sum(batch.num_rows for batch in opened.iter_batches())
    except (OSError, pa.ArrowException, ValueError) as error:
        return " ".join(str(error).split())[:FAULT_CHARS_MAX] or type(error).__name__
    if rows != file.rows:
        return f"it has {rows:,} rows and the table says {file.rows:,}"
    return "it can be read, and is not what was written" if is_broken else ""
