# SPDX-License-Identifier: Apache-2.0
"""Scrubs the files of a lake in turns, so that corruption on disk is found within days and not when somebody looks."""

from __future__ import annotations

from pathlib import Path

from pilothouse.lake.data_files import DataFile
from pilothouse.lake.repair import SCHEMAS, DamagedFile, look_at_file
from pilothouse.lake.seals import Seals
from pilothouse.lake.segments import SegmentTable

__all__ = ["BYTES_AT_ONCE", "FileWatch"]

BYTES_AT_ONCE = 128 << 20
"""Bytes read by one look, or one file that is larger: a tenth of a second of one core."""


class FileWatch:
    """Scrubs some files of a lake at a time, least recently checked first.

    Args:
        lake_folder: Folder of the lake, which this or another process may be writing.
        bytes_at_once: How much one look reads.
    """

    def __init__(self, lake_folder: Path, *, bytes_at_once: int = BYTES_AT_ONCE) -> None:
        self._lake_folder = lake_folder
        self._bytes_at_once = bytes_at_once
        self._looked: dict[str, int] = {}
        self._turn = 0
        self._damaged: dict[str, DamagedFile] = {}

    def look(self) -> tuple[DamagedFile, ...]:
        """Read the next files; return every damaged one that is known and that its table still names.

        Raises:
            StorageUnavailable: The log of a table cannot be read.
        """
        listed = self._listed()
        self._looked = {path: turn for path, turn in self._looked.items() if path in listed}
        left = self._bytes_at_once
        for path in sorted(listed, key=lambda path: (self._looked.get(path, 0), path)):
            if left <= 0:
                break
            table, file, seals = listed[path]
            left -= file.size
            self._turn += 1
            self._looked[path] = self._turn
            self._damaged.pop(path, None)
            damaged = look_at_file(table, file, seals, is_whole=True)
            if damaged is not None:
                self._damaged[path] = damaged
        if self._damaged:  # a merge or a retention may have taken some away meanwhile
            still = self._listed()
            self._damaged = {path: one for path, one in self._damaged.items() if path in still}
        return tuple(one for _, one in sorted(self._damaged.items()))

    def _listed(self) -> dict[str, tuple[str, DataFile, Seals]]:
        """Return the files that the tables name now, with what they were; both are read anew, for others write them."""
        listed: dict[str, tuple[str, DataFile, Seals]] = {}
        for name, schema in SCHEMAS.items():
            table = SegmentTable(self._lake_folder / name, schema)
            table.refresh()
            listed |= {file.path: (name, file, table.seals) for file in table.files()}
        return listed
