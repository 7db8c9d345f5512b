# SPDX-License-Identifier: Apache-2.0
"""Which small files of a day are worth merging, and their rows one batch after another (files → fewer files).

Each file costs a query about a tenth of a millisecond. Files are merged with those of about their size, so that a row
is written again as often as its file grows by a factor of sixteen: once under load, three times from a trickle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pilothouse.lake.columns import DICTIONARY_COLUMNS
from pilothouse.lake.data_files import DataFile

__all__ = ["packed", "plan_merge", "read_batches"]

FILES_MIN = 16
"""Files of about one size that are worth merging."""

OVER_FILES_MIN = 2
"""The same on a day that is over: nothing comes any more that would fill them up."""

SIZE_BITS = 4
"""Files whose rows have as many digits to the base of two to this power are of about one size."""

LARGE_ROWS = 200_000
"""A file with so many rows is merged no more."""

LARGE_BYTES = 32 << 20
"""Nor is one of so many bytes, however few rows it has."""

MERGED_ROWS_MAX = 262_144
"""Rows of one merge: a second's work, during which what is sent waits."""

MERGED_BYTES_MAX = 64 << 20
"""Bytes of one merge, for the same reason."""

BATCH_ROWS = 2_048
"""Rows that are read at once: with 75 columns some three megabytes, of which the reader holds several."""


def plan_merge(
    files: Sequence[DataFile], *, files_min: int | None = None, over_before: int = 0
) -> tuple[DataFile, ...]:
    """Return the files of the next worthwhile merge, oldest first, or none.

    Args:
        files: Of one table.
        files_min: Files of about one size that are worth it; `FILES_MIN` when None.
        over_before: Days before this one, since 1970-01-01, are over: there all small files are merged.

    Example:
        >>> def small(number):
        ...     return DataFile(path=f"part-{number:02}", rows=900, size=1, day=7, start_min=0, start_max=0)
        >>> len(plan_merge([small(number) for number in range(15)]))
        0
        >>> len(plan_merge([small(number) for number in range(20)]))
        20
        >>> len(plan_merge([small(1), small(2)], over_before=8))
        2
    """
    alike: dict[tuple[int, int], list[DataFile]] = {}
    for file in files:
        if file.rows < LARGE_ROWS and file.size < LARGE_BYTES:
            size = 0 if file.day < over_before else file.rows.bit_length() // SIZE_BITS
            alike.setdefault((file.day, size), []).append(file)
    least = FILES_MIN if files_min is None else files_min
    for (day, _), group in sorted(alike.items()):
        if len(group) >= (OVER_FILES_MIN if day < over_before else least):
            return _bounded(sorted(group, key=lambda file: file.path))
    return ()


def _bounded(files: Sequence[DataFile]) -> tuple[DataFile, ...]:
    """Return the first files up to the size of one merge, at least two."""
    rows = size = 0
    for number, file in enumerate(files):
        rows += file.rows
        size += file.size
        if number >= OVER_FILES_MIN and (rows > MERGED_ROWS_MAX or size > MERGED_BYTES_MAX):
            return tuple(files[:number])
    return tuple(files)


def packed(schema: pa.Schema) -> pa.Schema:
    """Return a schema with dictionary-encoded columns of low cardinality, which are cheaper to read, hold and write."""
    return pa.schema(
        [field.with_type(_DICTIONARY) if field.name in DICTIONARY_COLUMNS else field for field in schema]
    )


_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def read_batches(files: Sequence[DataFile], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Return the rows of files, one batch in memory at a time.

    Args:
        files: In this order.
        schema: The columns wanted.
    """
    dictionaries = [field.name for field in schema if field.type == _DICTIONARY]
    for file in files:
        with pq.ParquetFile(Path(file.path), read_dictionary=dictionaries) as opened:
            for batch in opened.iter_batches(BATCH_ROWS, use_threads=False):
                yield _as(batch, schema)


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with these columns: a file that a deletion wrote again holds its texts as views."""
    columns = [_cast(batch.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    return column.cast(pa.string()).dictionary_encode() if kind == _DICTIONARY else column.cast(kind)
