# SPDX-License-Identifier: Apache-2.0
"""Copy a lake while it may be written; the copy holds everything acknowledged before it began.

The log is copied first and the tables after it: what is trimmed from the log in between is in the tables.
A start on the copy is like a start after a kill: it replays what the tables do not have.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from pilothouse.errors import StorageUnavailable
from pilothouse.lake.checksums import CHECKSUMS_FILE

__all__ = ["copy_lake"]

ATTEMPTS_MAX = 3
"""A version whose files were vacuumed while they were copied is at least a day old; the next one is not."""

TABLES = ("tasks", "spans")
"""Tasks first: a task of the copy has its spans in the later copy of the other table."""


def copy_lake(folder: Path, target: Path) -> dict[str, int]:
    """Copy log and tables.

    Args:
        folder: The lake folder.
        target: Where to; must not exist.

    Returns:
        Rows of each copied table, by name.

    Raises:
        StorageUnavailable: A file cannot be read or written.
    """
    try:
        target.mkdir(mode=0o700, parents=True)
        if (folder / "node_id").exists():
            shutil.copyfile(folder / "node_id", target / "node_id")
        _copy_log(folder / "wal", target / "wal")
        return {name: _copy_table(folder / name, target / name) for name in TABLES}
    except (OSError, DeltaError) as error:
        raise StorageUnavailable(
            f"the lake could not be copied: {error}",
            remedy="Free space, or name another folder.",
            subject=str(target),
        ) from error


def _copy_log(folder: Path, target: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, place)
        except FileNotFoundError:  # trimmed meanwhile: its records are in the tables, which come next
            place.unlink(missing_ok=True)


def _copy_table(folder: Path, target: Path) -> int:
    """Copy one version of a table: its data files, and the log up to it."""
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            table = DeltaTable(str(folder))
        except TableNotFoundError:
            return 0
        version = table.version()
        try:
            for name in _data_files(table):
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, place)
            _copy_versions(folder / "_delta_log", target / "_delta_log", version)
            if (folder / CHECKSUMS_FILE).exists():  # after the files, so that each has its line
                shutil.copyfile(folder / CHECKSUMS_FILE, target / CHECKSUMS_FILE)
        except FileNotFoundError:
            if attempt == ATTEMPTS_MAX:
                raise
            shutil.rmtree(target, ignore_errors=True)
            continue
        copied = DeltaTable(str(target))
        if copied.version() == version and _data_files(copied) == _data_files(table):
            rows = copied.get_add_actions(flatten=True).column("num_records").to_pylist()
            return sum(int(count) for count in rows)
        shutil.rmtree(target, ignore_errors=True)
    raise StorageUnavailable(
        f"the table {folder.name} changed faster than it could be copied",
        remedy="Try again, or stop `pilothouse up` meanwhile.",
        subject=str(folder),
    )


def _data_files(table: DeltaTable) -> list[str]:
    return sorted(str(path) for path in table.get_add_actions(flatten=True).column("path").to_pylist())


def _copy_versions(folder: Path, target: Path, version: int) -> None:
    """Copy the log entries and checkpoints up to a version."""
    target.mkdir(parents=True, exist_ok=True)
    newest = -1
    for path in sorted(folder.iterdir()):
        number = path.name.partition(".")[0]
        if not number.isdigit() or int(number) > version:
            continue
        shutil.copyfile(path, target / path.name)
        if ".checkpoint." in path.name:
            newest = max(newest, int(number))
    pointer = folder / "_last_checkpoint"
    if pointer.exists() and json.loads(pointer.read_bytes()).get("version") == newest:
        shutil.copyfile(pointer, target / pointer.name)
