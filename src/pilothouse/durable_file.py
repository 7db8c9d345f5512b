# SPDX-License-Identifier: Apache-2.0
"""Writes a file whole or not at all, and has it on the disk: after a kill or a power cut it is the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["fsync_path", "made_once", "private_folder", "replace_file"]


def private_folder(path: Path) -> Path:
    """Return a folder; where it is missing it is made, with those above it that are, for this user alone.

    What an agent was told and what it answered lies in files that other users of a machine could read by the usual mask. A folder
    that is there stays as its owner has made it: it may be shared on purpose.

    Args:
        path: The folder.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(exist_ok=True)  # says what is wrong where a file stands in its place
    return path


def fsync_path(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk when this returns.

    Args:
        path: The file or folder.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, content: bytes) -> None:
    """Put content in the place of a file, which is there until the new one is whole.

    Args:
        path: The file; its folder is there.
        content: What it holds from now on.

    Raises:
        OSError: It cannot be written; what was there stays, and nothing lies beside it.
    """
    with _written_beside(path, content, 0o666) as fresh:
        fresh.replace(path)
        fsync_path(path.parent)


def made_once(path: Path, content: bytes) -> bytes:
    """Return the content of a secret file; whoever comes first writes it.

    Args:
        path: The file; only this user may read it.
        content: What is written where there is none.

    Raises:
        OSError: It cannot be written or read.
    """
    if not path.exists():
        with _written_beside(path, content, 0o600) as fresh:
            with suppress(FileExistsError):
                os.link(fresh, path)
            fsync_path(path.parent)
    return path.read_bytes()


@contextmanager
def _written_beside(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """Give a synced file under a name of its own, so that two who write at once share none, and leave none behind."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
    try:
        fresh.touch(mode, exist_ok=False)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
