# SPDX-License-Identifier: Apache-2.0
"""Checksums of each table file as it was written, so that corruption is found even where Parquet reads on.

One line for each file lies beside the table, appended before the file is named in the log. It is not synced: a line lost to a power cut
leaves a file without a known checksum, as files of an earlier release are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pilothouse.durable_file import replace_file

__all__ = ["CHECKSUMS_FILE", "FileChecksums"]

CHECKSUMS_FILE = "_seals.txt"
"""Engines and `vacuum` ignore names that begin with an underscore."""

_LINE = re.compile(r"(day=[0-9-]+/[^/ ]+\.parquet) ([0-9a-f]{64})")

_UNSOUND = "0" * 64
"""Stands for a file that was made of a broken one."""


class FileChecksums:
    """The checksums of one table's files. Not thread-safe: the writer of the table owns it; others only read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, str] | None = None

    def note(self, path: Path, *, is_sound: bool = True) -> None:
        """Record the checksum of a file that was just written.

        Args:
            path: The file, in the folder of its day.
            is_sound: Whether it was made of sound files; one that was not counts as broken from the start.

        Raises:
            OSError: It cannot be read, or the line not written.
        """
        name, digest = _name(path), _digest(path) if is_sound else _UNSOUND
        with (self._folder / CHECKSUMS_FILE).open("a", encoding="ascii") as file:
            # The end of a line first: half a line that a kill left must not spoil this one.
            file.write(f"\n{name} {digest}\n")
        if self._known is not None:
            self._known[name] = digest

    def is_known(self, path: Path) -> bool:
        """Return whether the checksum of a file is on record."""
        return _name(path) in self._read()

    def is_broken(self, path: Path) -> bool:
        """Return whether a file differs from what was written; False where no checksum is known.

        Raises:
            OSError: It cannot be read.
        """
        was = self._read().get(_name(path))
        return was is not None and _digest(path) != was

    def keep(self, paths: Collection[str]) -> None:
        """Forget files that are gone.

        Raises:
            OSError: The lines cannot be written; what was recorded stays.
        """
        named = {_name(Path(path)) for path in paths}
        known = self._read()
        kept = {name: digest for name, digest in known.items() if name in named}
        if len(kept) == len(known):
            return
        lines = "".join(f"{name} {digest}\n" for name, digest in kept.items())
        replace_file(self._folder / CHECKSUMS_FILE, lines.encode("ascii"))
        self._known = kept

    def _read(self) -> dict[str, str]:
        if self._known is None:
            text = ""
            with suppress(FileNotFoundError):
                text = (self._folder / CHECKSUMS_FILE).read_text("ascii", "replace")
            lines = (_LINE.fullmatch(line) for line in text.splitlines())
            self._known = {line[1]: line[2] for line in lines if line is not None}
        return self._known


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
