# SPDX-License-Identifier: Apache-2.0
"""Copy the ledger while others write it: one consistent moment, by the database's own means."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pilothouse.errors import StorageUnavailable

__all__ = ["copy_ledger"]


def copy_ledger(path: Path, target: Path) -> bool:
    """Copy the database file; return whether there was one.

    Args:
        path: The ledger's file.
        target: The copy's file; must not exist.

    Raises:
        StorageUnavailable: It cannot be read or written.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except sqlite3.Error as error:
        raise StorageUnavailable(
            f"the ledger could not be copied: {error}",
            remedy="Free space, or name another folder.",
            subject=str(target),
        ) from error
    return True
