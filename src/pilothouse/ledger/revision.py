# SPDX-License-Identifier: Apache-2.0
"""The schema revision that this program knows, and a guard against writing into another."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from pilothouse.errors import StorageUnavailable

__all__ = ["HEAD", "MIGRATIONS", "refuse_other_revision"]

MIGRATIONS = Path(__file__).parent / "migrations"

HEAD = max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v[0-9]*.py"))
"""Newest revision; a test holds the numbers of the files and the chain inside them together."""


def refuse_other_revision(connection: Connection, subject: str) -> None:
    """Refuse to write into a ledger that another release brought up to date while this process had it open.

    A step may bring an index, a salt or an entry in the log that goes with each row: rows that come without are not found by
    verdicts, or look like somebody's who wrote past the log.

    Args:
        connection: A transaction that writes, so that nobody changes the tables before its end.
        subject: The file, as messages name it.

    Raises:
        StorageUnavailable: The tables are not those that this program knows.
    """
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found != HEAD:
        raise StorageUnavailable(
            f"the ledger {subject!r} is at revision {found} now and this process, which had it open, knows {HEAD}; "
            "nothing was written",
            remedy="Stop this process and start it again with the release that brought the ledger there.",
            subject=subject,
        )
