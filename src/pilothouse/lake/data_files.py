# SPDX-License-Identifier: Apache-2.0
"""The files of a table: what is known of each without opening it, and how the Delta log names them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

__all__ = ["EPOCH", "TIME_MAX", "DataFile", "add_action", "day_text", "list_files", "remove_action"]

EPOCH = date(1970, 1, 1)
"""Day 0 of the partition column."""

TIME_MAX = (1 << 63) - 1
"""Stands for the largest start of a file that does not say."""

_WRITTEN = re.compile(r"part-([0-9]{20})-")
"""How `parquet_files.new_path` begins a name."""

SPAN = "span"
"""What the column `record` says of every row that is no log record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        path: Absolute path.
        rows: Rows in it.
        size: Bytes on the disk.
        day: Partition, days since 1970-01-01.
        start_min: Smallest `start_ns`.
        start_max: Largest `start_ns`.
        revision_max: Largest `revision` (tasks only); 1 when it is not known.
        may_hold_logs: Whether a row may be a log record; also when it is not known.
    """

    path: str
    rows: int
    size: int
    day: int
    start_min: int
    start_max: int
    revision_max: int = 0
    may_hold_logs: bool = True

    def is_from_before(self, moment_ns: int) -> bool:
        """Return whether a file was written before a moment, by its name; the name of a rewritten file does not tell."""
        said = _WRITTEN.match(Path(self.path).name)
        return said is not None and int(said[1]) < moment_ns


def day_text(day: int) -> str:
    """Return a day as it stands in paths and conditions.

    Args:
        day: Days since 1970-01-01.

    Example:
        >>> day_text(20_000)
        '2024-10-04'
    """
    return (EPOCH + timedelta(days=day)).isoformat()


def list_files(table: DeltaTable, folder: Path) -> tuple[DataFile, ...]:
    """Return the files of a table's current version, in any order."""
    actions = pa.table(table.get_add_actions(flatten=True))
    names = set(actions.column_names)

    def column(name: str, otherwise: Any) -> Sequence[Any]:
        if name not in names:
            return [otherwise] * actions.num_rows
        return actions.column(name).to_pylist()

    return tuple(
        DataFile(
            path=str(folder / path),
            rows=rows or 0,
            size=size or 0,
            day=(day - EPOCH).days if isinstance(day, date) else (date.fromisoformat(day) - EPOCH).days,
            start_min=low if low is not None else 0,
            start_max=high if high is not None else TIME_MAX,
            revision_max=revision if revision is not None else 1,
            may_hold_logs={first, last} != {SPAN},
        )
        for path, rows, size, day, low, high, revision, first, last in zip(
            column("path", ""),
            column("num_records", 0),
            column("size_bytes", 0),
            column("partition.day", "1970-01-01"),
            column("min.start_ns", None),
            column("max.start_ns", None),
            column("max.revision", None),
            column("min.record", None),
            column("max.record", None),
            strict=True,
        )
    )


def add_action(
    path: Path, day: int, statistics: Mapping[str, Any], *, is_new: bool
) -> tuple[AddAction, DataFile]:
    """Return the Delta action that adds a file, and the file as queries name it.

    Args:
        path: The file, in the folder of its day.
        day: Its partition, days since 1970-01-01.
        statistics: Of its rows, as the log holds them.
        is_new: Whether its rows are new to the table; those of a merge are not.
    """
    size = path.stat().st_size
    low, high = statistics["minValues"], statistics["maxValues"]
    action = AddAction(
        f"{path.parent.name}/{path.name}",
        size,
        {"day": day_text(day)},
        time.time_ns() // 1_000_000,
        is_new,
        json.dumps(statistics),
    )
    file = DataFile(
        path=str(path),
        rows=statistics["numRecords"],
        size=size,
        day=day,
        start_min=low.get("start_ns", 0),
        start_max=high.get("start_ns", TIME_MAX),
        revision_max=high.get("revision", 1),
        may_hold_logs={low.get("record"), high.get("record")} != {SPAN},
    )
    return action, file


def remove_action(file: DataFile) -> RemoveAction:
    """Return the Delta action that removes a file whose rows are in another one.

    Args:
        file: The file; it stays on the disk for readers until it is vacuumed.
    """
    path = Path(file.path)
    return RemoveAction(
        f"{path.parent.name}/{path.name}",
        False,
        time.time_ns() // 1_000_000,
        file.size,
        {"day": day_text(file.day)},
    )
