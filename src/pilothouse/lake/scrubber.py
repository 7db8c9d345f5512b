# SPDX-License-Identifier: Apache-2.0
"""Scrubs the files of a lake in turns, so that corruption on disk is found within days and not when somebody looks."""

from __future__ import annotations

from pathlib import Path

from pilothouse.lake.checksums import FileChecksums
from pilothouse.lake.data_files import DataFile
from pilothouse.lake.repair import SCHEMAS, DamagedFile, scrub_file
from pilothouse.lake.segments import SegmentTable

__all__ = ["BYTES_AT_ONCE", "Scrubber"]

BYTES_AT_ONCE = 128 << 20
"""Bytes read at a time, or one file that is larger: a tenth of a second of one core."""


class Scrubber:
    """Scrubs some files of a lake at a time, least recently checked first.

    Args:
        lake_folder: Folder of the lake, which this or another process may be writing.
        bytes_at_once: How much is read at a time.
    """

    def __init__(self, lake_folder: Path, *, bytes_at_once: int = BYTES_AT_ONCE) -> None:
        self._lake_folder = lake_folder
        self._bytes_at_once = bytes_at_once
        self._scrubbed: dict[str, int] = {}
        self._turn = 0
        self._damaged: dict[str, DamagedFile] = {}

    def scrub(self) -> tuple[DamagedFile, ...]:
        """Read the next files; return every known damaged file that its table still names.

        Raises:
            StorageUnavailable: The log of a table cannot be read.
        """
        listed = self._listed()
        self._scrubbed = {path: turn for path, turn in self._scrubbed.items() if path in listed}
        left = self._bytes_at_once
        for path in sorted(listed, key=lambda path: (self._scrubbed.get(path, 0), path)):
            if left <= 0:
                break
            table, file, checksums = listed[path]
            left -= file.size
            self._turn += 1
            self._scrubbed[path] = self._turn
            self._damaged.pop(path, None)
            damaged = scrub_file(table, file, checksums, is_whole=True)
            if damaged is not None:
                self._damaged[path] = damaged
        if self._damaged:  # a merge or a retention may have taken some away meanwhile
            still = self._listed()
            self._damaged = {path: one for path, one in self._damaged.items() if path in still}
        return tuple(one for _, one in sorted(self._damaged.items()))

    def _listed(self) -> dict[str, tuple[str, DataFile, FileChecksums]]:
        """Return the files that the tables name now, with what they were; both are read anew, for others write them."""
        listed: dict[str, tuple[str, DataFile, FileChecksums]] = {}
        for name, schema in SCHEMAS.items():
            table = SegmentTable(self._lake_folder / name, schema)
            table.refresh()
            listed |= {file.path: (name, file, table.checksums) for file in table.files()}
        return listed
