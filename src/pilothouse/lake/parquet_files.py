# SPDX-License-Identifier: Apache-2.0
"""Write rows durably into one Parquet file, and return the statistics by which readers prune."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pilothouse.durable_file import fsync_path
from pilothouse.lake.columns import DICTIONARY_COLUMNS
from pilothouse.lake.data_files import day_text

__all__ = ["GROUP_ROWS", "STATISTICS", "new_path", "write_merged", "write_segment"]

STATISTICS = ("trace_id", "agent", "start_ns", "end_ns", "received_ns", "seq", "revision", "record")
"""Columns with minimum and maximum in the file and in the log, which queries prune by: of a file in which only spans stand not
even the footer is read to look for scores."""

GROUP_ROWS = 65_536
"""Rows of a row group in a merged file."""

GROUP_BYTES = 8 << 20
"""A row group is closed at so many bytes in memory too: one of long texts would hold hundreds of megabytes."""

GROUP_TRACES = 16_384
"""Traces for which the Bloom filter of such a row group has room. While a file is written the filters of all its groups stand
in memory, 32 KiB each, and 8 MiB hold hardly more rows than this."""

PAGE_BYTES = 64 << 10
"""A reader holds one page of each of 75 columns, unpacked: with a megabyte each, which is usual, a merge would hold a whole
segment to read its first rows."""

MERGED_LEVEL = 1
"""Of Zstandard, for files that stay: half the size of LZ4, by which segments are written; level 3 costs a fifth more
and gains nothing on the repetitive texts of agents."""


def new_path(table: Path, day: int) -> Path:
    """Return the path of a new file in the folder of its day, which is created; file names sort by time.

    Args:
        table: Folder of the table.
        day: Partition, days since 1970-01-01.
    """
    folder = table / f"day={day_text(day)}"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fsync_path(table)
    return folder / f"part-{time.time_ns():020d}-{secrets.token_hex(6)}.parquet"


def write_segment(rows: pa.Table, path: Path) -> dict[str, Any]:
    """Write a few seconds of rows, quickly.

    Args:
        rows: Without the column `day`.
        path: Where to.

    Returns:
        Their statistics, as the Delta log holds them.
    """
    pq.write_table(rows, path, compression="lz4", **_options(rows.schema, max(1, rows.num_rows)))
    fsync_path(path)
    fsync_path(path.parent)
    return _statistics(rows)


def write_merged(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> dict[str, Any]:
    """Write rows that stay, tightly packed, with one row group of them in memory.

    Args:
        batches: The rows, a few thousand at a time.
        schema: Their columns, without `day`.
        path: Where to; removed again when a batch cannot be had.

    Returns:
        Their statistics, as the Delta log holds them.
    """
    told: list[dict[str, Any]] = []
    try:
        with pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=MERGED_LEVEL, **_options(schema, GROUP_TRACES)
        ) as writer:
            for group in _grouped(batches):
                table = pa.Table.from_batches(group, schema=schema)
                writer.write_table(table, row_group_size=GROUP_ROWS)
                told.append(_statistics(table))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    fsync_path(path)
    fsync_path(path.parent)
    return _joined(told)


def _options(schema: pa.Schema, traces: int) -> dict[str, Any]:
    """Return the options that both kinds of files share: encodings and statistics of columns."""
    return {
        "use_dictionary": [name for name in DICTIONARY_COLUMNS if name in schema.names],
        "write_statistics": [name for name in STATISTICS if name in schema.names],
        "data_page_size": PAGE_BYTES,
        "store_schema": False,
        "bloom_filter_options": {"trace_id": {"ndv": traces, "fpp": 0.01}},
    }


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Gather batches into row groups of bounded rows and bytes."""
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if group and (rows + batch.num_rows > GROUP_ROWS or size + batch.nbytes > GROUP_BYTES):
            yield group
            group, rows, size = [], 0, 0
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    if group:
        yield group


def _statistics(rows: pa.Table) -> dict[str, Any]:
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in STATISTICS:
        if name in rows.column_names:
            column = rows.column(name)
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            ends: Any = pc.min_max(column).as_py()
            nulls[name] = column.null_count
            if ends["min"] is not None:
                low[name], high[name] = ends["min"], ends["max"]
    return {"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def _joined(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the statistics of all rows from those of each row group."""
    return {
        "numRecords": sum(one["numRecords"] for one in told),
        "minValues": _by_name(told, "minValues", min),
        "maxValues": _by_name(told, "maxValues", max),
        "nullCount": _by_name(told, "nullCount", sum),
    }


def _by_name(told: Sequence[dict[str, Any]], part: str, join: Callable[[list[Any]], Any]) -> dict[str, Any]:
    names = {name for one in told for name in one[part]}
    return {name: join([one[part][name] for one in told if name in one[part]]) for name in sorted(names)}
