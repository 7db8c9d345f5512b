# SPDX-License-Identifier: Apache-2.0
"""Erase a subject's trials from the journal: answers, also those in files beside it, and their scores."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Self

from pilothouse.core.evidence.spellings import says, spellings
from pilothouse.errors import StorageUnavailable
from pilothouse.evals.journal_file import connect, take_lock

__all__ = ["ERASED", "JournalEraser"]

ERASED: Final = "[erased]"
"""What stands in the record of a run where a subject stood: a run that was forgotten would be one more look at a gate."""

_RECORDS: Final = (("run", "plan"), ("run", "verdict"), ("look", "document"))
_CASCADE: Final = ("DELETE FROM score WHERE trial = ?", "DELETE FROM trial WHERE key = ?")


class JournalEraser:
    """A journal that is locked against other writers; use as a context manager.

    Making one takes the lock of the journal, before anything is erased anywhere.

    Args:
        path: The SQLite file, which is there.

    Raises:
        Conflict: A run is writing it.
        StorageUnavailable: It cannot be opened, or a newer program made it.
    """

    def __init__(self, path: Path) -> None:
        self._blobs = path.parent / "blobs"
        self._lock = take_lock(path)
        try:
            self._connection = connect(path)
            self._connection.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StorageUnavailable(
                f"cannot open the journal {str(path)!r}: {error}.",
                remedy="Give another file with --journal FILE, or move this one away.",
                subject=str(path),
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        os.close(self._lock)

    def forget(self, subject: str, inputs: Collection[str]) -> int:
        """Delete the trials of some inputs, and those whose case, answer, error or score contains a subject.

        Args:
            subject: As it stands in the texts.
            inputs: Hashes of the inputs of cases that were removed.

        Returns:
            How many trials went. A gate asks for them again where it needs them.
        """
        lost = dict(self._lost(subject, inputs))
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _CASCADE:
            self._connection.executemany(statement, [(key,) for key in lost])
        for table, column in _RECORDS:
            self._connection.executemany(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?)",  # noqa: S608 - names of this file
                [(one, ERASED, one) for one in spellings(subject)],
            )
        self._connection.execute("COMMIT")
        needed = {row[0] for row in self._connection.execute("SELECT blob FROM trial WHERE blob IS NOT NULL")}
        for name in {blob for blob in lost.values() if blob} - needed:
            (self._blobs / name).unlink(missing_ok=True)
        # What was written and not copied into the file yet still holds the pages of before.
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(lost)

    def _lost(self, subject: str, inputs: Collection[str]) -> Iterator[tuple[str, str | None]]:
        spelled = spellings(subject)
        scored = {
            key
            for key, reason in self._connection.execute("SELECT trial, reason FROM score")
            if says(reason, spelled)
        }
        rows = self._connection.execute("SELECT key, case_id, input_hash, reply, blob, error FROM trial")
        for key, case_id, input_hash, reply, blob, error in rows:
            texts = (case_id, error or "", *_forms(reply), *_forms(self._blob(blob)))
            if key in scored or input_hash in inputs or any(says(text, spelled) for text in texts):
                yield key, blob

    def _blob(self, name: str | None) -> str | None:
        path = self._blobs / name if name else None
        return path.read_text(encoding="utf-8") if path is not None and path.is_file() else None


def _forms(text: str | None) -> tuple[str, ...]:
    """Return a JSON text as written and with its escapes decoded."""
    return () if text is None else (text, json.dumps(json.loads(text), ensure_ascii=False))
