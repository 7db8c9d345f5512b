# SPDX-License-Identifier: Apache-2.0
"""Back up an installation while it runs: ledger, lake, recorded runs, and a manifest by which the copy can be checked."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

import pilothouse
from pilothouse.durable_file import private_folder, replace_file
from pilothouse.errors import Conflict, DigestMismatch, StorageUnavailable, UsageError
from pilothouse.settings import Settings

__all__ = ["MANIFEST", "BackedUpFile", "Manifest", "back_up", "check_backup"]

MANIFEST = "manifest.json"
"""Written last: a copy without it did not finish."""

READ_BYTES = 1 << 20


class BackedUpFile(BaseModel):
    """One file of the copy.

    Attributes:
        path: Below the copy's folder.
        size_bytes: Its size.
        sha256: Digest of its content.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds.

    Attributes:
        program: Version of Pilothouse that made it.
        began_at: Everything acknowledged before this moment is in it, aware UTC.
        rows: Rows of each table; what its log still holds comes on top at the first start.
        runs: Recorded runs; 0 in a copy from before they were copied.
        ledger: File of the ledger below the copy's folder, or the dump of a server's; empty when there is none in it.
        files: Every file, by path.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    program: str
    began_at: AwareDatetime
    rows: dict[str, int]
    runs: int = 0
    ledger: str = "ledger.sqlite"
    files: tuple[BackedUpFile, ...]

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files)


def back_up(
    settings: Settings,
    target: Path,
    now: datetime,
    *,
    copy_ledger: Callable[[Path], str],
    copy_lake: Callable[[Path, Path], dict[str, int]],
    copy_runs: Callable[[Path, Path], int],
) -> Manifest:
    """Copy ledger, lake, recorded runs and keys to a new folder that is a data folder itself.

    The keys go with the ledger: without them nobody can read what it keeps of persons, and its log is another one.

    Args:
        settings: The installation.
        target: Where to; made, must be empty.
        now: The present moment, aware UTC.
        copy_ledger: Copies or dumps the ledger into the folder; returns the name of its file, or nothing.
        copy_lake: Copies the lake folder; returns rows by table.
        copy_runs: Copies the run log; returns how many runs it has.

    Raises:
        Conflict: The target is not empty, or lies in the data folder; or the key of the log was replaced meanwhile.
        StorageUnavailable: Something cannot be read or written.
    """
    if target.exists() and any(target.iterdir()):
        raise Conflict(
            f"{target} is not empty",
            remedy=f"Name a new folder: `pilothouse backup {target}-2`.",
            subject=str(target),
        )
    if target.resolve().is_relative_to(settings.home.resolve()):
        raise Conflict(
            f"{target} lies in the data folder itself",
            remedy="Name a folder on another disk.",
            subject=str(target),
        )
    if not settings.home.is_dir():
        raise UsageError(f"there is no data folder {settings.home}", remedy="Name it with --home FOLDER.")
    try:
        private_folder(target)
        before = _keys(settings)
        # The ledger first: an erasure that is carried out in between is then asked for in the copy, and done again at its start.
        ledger = copy_ledger(target)
        _copy_keys(settings, target, before)
        rows = copy_lake(settings.lake_folder, target / "lake") if settings.lake_folder.is_dir() else {}
        # The runs last: a trace of the copy then has its recorded run, as far as that was written.
        runs = copy_runs(settings.runs_folder, target / "runs")
        files = tuple(_described(path, target) for path in _files(target))
        manifest = Manifest(
            program=pilothouse.__version__,
            began_at=now,
            rows=rows,
            runs=runs,
            ledger=ledger,
            files=files,
        )
        replace_file(target / MANIFEST, manifest.model_dump_json(indent=1).encode())
    except OSError as error:
        _empty(target)
        raise _failed(target, error) from error
    except BaseException:
        _empty(target)  # a copy of every night that fails would fill the disk that it failed for
        raise
    return manifest


def check_backup(target: Path) -> Manifest:
    """Read a backup whole and hold it against its manifest.

    Args:
        target: The copy's folder.

    Raises:
        UsageError: It has no readable manifest, so it never was finished.
        DigestMismatch: A file is missing or not what was copied.
    """
    try:
        manifest = Manifest.model_validate_json((target / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{target} has no readable {MANIFEST}: it is no finished backup",
            remedy="Make one: `pilothouse backup FOLDER`.",
            subject=str(target),
        ) from error
    for file in manifest.files:
        path = target / file.path
        if not path.is_file() or _described(path, target, sync=False) != file:
            raise DigestMismatch(
                f"{file.path} of the backup is missing or changed",
                remedy="Use another backup; this one cannot be trusted.",
                subject=file.path,
            )
    named = {file.path for file in manifest.files}
    added = [one for path in _files(target) if (one := path.relative_to(target).as_posix()) not in named]
    if added:  # a log beside a table or a ledger changes what is in it
        raise DigestMismatch(
            f"{added[0]} was put into the backup afterwards",
            remedy="Use another backup, and start on a copy of it: a start writes to its folder.",
            subject=added[0],
        )
    return manifest


def _keys(settings: Settings) -> dict[Path, bytes]:
    """Return the keys of the audit log and of feedback, by their files."""
    known = [*settings.keys_folder.glob("audit-*"), settings.feedback_key_file]
    return {path: path.read_bytes() for path in known if path.is_file()}


def _copy_keys(settings: Settings, target: Path, before: dict[Path, bytes]) -> None:
    """Copy the keys, readable by this user only.

    A ledger of before its key was replaced has nobody to sign it when only the new key lies beside it.

    Args:
        settings: The installation.
        target: The copy's folder.
        before: The keys as they were before the ledger was copied.

    Raises:
        Conflict: One of them is another by now.
    """
    keys = _keys(settings)
    for path, content in before.items():
        if path in keys and keys[path] != content:
            raise Conflict(
                f"the key in {path} was replaced while the ledger was copied",
                remedy="Make the backup again.",
                subject=str(path),
            )
    for path, content in keys.items():
        place = target / path.relative_to(settings.home)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


def _empty(target: Path) -> None:
    """Take away what there is of a copy that was not finished, so that the next try finds its folder and its room."""
    for path in target.iterdir() if target.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _files(target: Path) -> list[Path]:
    return sorted(path for path in target.rglob("*") if path.is_file() and path.name != MANIFEST)


def _described(path: Path, target: Path, *, sync: bool = True) -> BackedUpFile:
    """Digest a file, and see that it is on the disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            size += len(part)
        if sync:
            os.fsync(file.fileno())
    return BackedUpFile(path=path.relative_to(target).as_posix(), size_bytes=size, sha256=digest.hexdigest())


def _failed(target: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"the backup could not be finished: {error}",
        remedy="Free space, or name another folder.",
        subject=str(target),
    )
