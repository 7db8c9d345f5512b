# SPDX-License-Identifier: Apache-2.0
"""Copy the ledger while others write it: one consistent moment, by the database's own means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.engine import database_subject

__all__ = ["LEDGER_DUMP", "LEDGER_FILE", "copy_ledger"]


LEDGER_FILE, LEDGER_DUMP = "ledger.sqlite", "ledger.pgdump"

DUMP_TIMEOUT_S = 3_600.0
"""How long a dump may take: a ledger of a million records takes a minute."""


def copy_ledger(url: str, folder: Path) -> str:
    """Copy the ledger into a folder; return the name of the file, empty where there is no ledger yet.

    Args:
        url: Its address, `Settings.ledger_url`.
        folder: Where to.

    Raises:
        StorageUnavailable: It cannot be read or written.
    """
    if not url.startswith("sqlite"):
        _dump(url, folder / LEDGER_DUMP)
        return LEDGER_DUMP
    path = Path(database_subject(url))
    if not path.exists():
        return ""
    try:
        os.close(os.open(folder / LEDGER_FILE, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with (
            closing(sqlite3.connect(path)) as source,
            closing(sqlite3.connect(folder / LEDGER_FILE)) as copy,
        ):
            source.backup(copy)
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailable(
            f"the ledger could not be copied: {error}",
            remedy="Free space, or name another folder.",
            subject=str(folder),
        ) from error
    return LEDGER_FILE


def _dump(url: str, target: Path) -> None:
    """Let PostgreSQL's own program write one moment of the ledger; its password stands in no list of processes."""
    program = shutil.which("pg_dump")
    address = make_url(url).set(drivername="postgresql")
    secret = {} if address.password is None else {"PGPASSWORD": str(address.password)}
    place = address._replace(password=None).render_as_string(hide_password=False)
    said = "pg_dump is not installed"
    if program is not None:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with an address of our own settings
                [program, "--format=custom", f"--file={target}", f"--dbname={place}", "--no-password"],
                env={**os.environ, **secret},
                capture_output=True,
                check=False,
                timeout=DUMP_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        else:
            if done.returncode == 0:
                return
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[:500]
        target.unlink(missing_ok=True)  # so that the folder is empty for the next try
    raise StorageUnavailable(
        f"the ledger of {database_subject(url)} could not be dumped: {said}",
        remedy="Install PostgreSQL's client programs of the server's version, or dump it yourself first and add --no-ledger.",
        subject=database_subject(url),
    )
