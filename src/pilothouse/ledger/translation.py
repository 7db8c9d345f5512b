# SPDX-License-Identifier: Apache-2.0
"""Translate errors of the database into our own, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from pilothouse.errors import (
    Conflict,
    InfrastructureError,
    MalformedRecord,
    StorageFull,
    StorageUnavailable,
)

__all__ = ["translated"]

_FULL = ("disk is full", "disk i/o error: no space", "no space left", "quota exceeded")
_LOCKED = (
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "lock timeout",
    "could not serialize",
    "deadlock detected",
)
_DAMAGED = ("malformed", "not a database")
_READ_ONLY = ("readonly", "read-only")

_FULL_CODES = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100"})
_LOCKED_CODES = frozenset({"55P03", "40001", "40P01"})
"""What the driver names an error by, where it does: a server may speak the language of its country, and SQLite, which cannot
make room for the index of its log on a full disk, only says that the disk has an error."""


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Translate every exception of the database driver raised inside the block.

    Args:
        subject: The ledger, as a person knows it: its file or address without a password.

    Raises:
        Conflict: Somebody else held the ledger, or wrote the same row first.
        MalformedRecord: A text or a number that the database cannot hold.
        StorageFull: The disk is full.
        StorageUnavailable: Anything else that the database refused.
    """
    try:
        yield
    except IntegrityError as error:
        raise Conflict(
            f"the ledger {subject!r} already has that row, written by somebody else at the same moment",
            remedy="Repeat it, that is safe; `pilothouse doctor` shows who else is running.",
            subject=subject,
        ) from error
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        # The database is well: half a character, a NUL, a text longer than its column, a number past 2^63.
        raise MalformedRecord(
            "a text or a number cannot be kept in the ledger: half a character, a NUL, or more than it has room for",
            remedy="Write it in whole characters, and shorter.",
            subject=subject,
        ) from error
    except SQLAlchemyError as error:
        raise _translate(error, subject) from error


def _translate(error: SQLAlchemyError, subject: str) -> Conflict | InfrastructureError:
    cause = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
    text = cause.lower()
    code = _code(error)
    if code in _FULL_CODES or any(sign in text for sign in _FULL):
        return StorageFull(
            f"no room left for the ledger {subject!r}; nothing was written",
            remedy="Free space there and repeat; `pilothouse doctor` shows how much is left.",
            subject=subject,
        )
    if code in _LOCKED_CODES or any(sign in text for sign in _LOCKED):
        return Conflict(
            f"another process kept the ledger {subject!r} locked for too long; nothing was written",
            remedy="Repeat it, that is safe; `pilothouse doctor` shows who else is running.",
            subject=subject,
        )
    if any(sign in text for sign in _DAMAGED):
        return StorageUnavailable(
            f"{subject!r} is damaged or no ledger at all ({cause})",
            remedy="Move the file away and restore it from a backup; `pilothouse doctor` checks it.",
            subject=subject,
        )
    if any(sign in text for sign in _READ_ONLY):
        return StorageUnavailable(
            f"the ledger {subject!r} may not be written ({cause})",
            remedy="Give this user write permission to the file and its folder, or set PILOTHOUSE_HOME.",
            subject=subject,
        )
    if subject.startswith("postgresql:"):
        return StorageUnavailable(
            f"the ledger {subject!r} cannot be read or written ({' '.join(cause.split())})",
            remedy="See that the server runs and takes another connection. What was being written when a connection "
            "was lost may be there: look before you repeat it.",
            subject=subject,
        )
    return StorageUnavailable(
        f"the ledger {subject!r} cannot be read or written ({cause})",
        remedy="Check the folder and its permissions with `pilothouse doctor`; a retry is safe.",
        subject=subject,
    )


def _code(error: SQLAlchemyError) -> str:
    """Return the driver's code of an error, or empty."""
    found = error.orig if isinstance(error, DBAPIError) else None
    return str(getattr(found, "sqlite_errorname", None) or getattr(found, "sqlstate", None) or "")
