# SPDX-License-Identifier: Apache-2.0
"""Turn an operating system error about a named file into one of ours: what is wrong, where, what to type."""

from __future__ import annotations

import errno
from pathlib import Path

from pilothouse.errors import PilothouseError, StorageFull, StorageUnavailable, UsageError

__all__ = ["file_error"]

REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def file_error(error: OSError) -> PilothouseError | None:
    """Return our error for an operating system error, or None when it is about no file or of no expected kind.

    Example:
        >>> print(file_error(FileNotFoundError(2, "No such file or directory", "cases.jsonl")))
        there is no file 'cases.jsonl' See what is there: `ls .`
    """
    if error.errno in FULL:
        return StorageFull("the disk is full; nothing half written counts", remedy="Make room: `df -h`")
    if not isinstance(error.filename, str):
        return None
    name = error.filename
    folder = Path(name).parent
    if error.errno == errno.ENOENT:
        return UsageError(
            f"there is no file {name!r}", remedy=f"See what is there: `ls {folder}`", subject=name
        )
    if error.errno == errno.EISDIR:
        return UsageError(f"{name!r} is a folder", remedy=f"Name a file in it: `ls {name}`", subject=name)
    if error.errno == errno.ENOTDIR:
        return UsageError(
            f"{str(folder)!r} is a file, no folder", remedy=f"See it: `ls -l {folder}`", subject=name
        )
    if error.errno == errno.EEXIST:
        return UsageError(
            f"{name!r} is there already", remedy=f"See what it is: `ls -ld {name}`", subject=name
        )
    if error.errno in REFUSED:
        return StorageUnavailable(
            f"{name!r} may not be read or written: {error.strerror}",
            remedy=f"See who may: `ls -ld {name} {folder}`",
            subject=name,
        )
    return None
