# SPDX-License-Identifier: Apache-2.0
"""The ledger as one object: every method is one transaction, durable when it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilothouse.durable_file import private_folder
from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.charters import SqlCharters
from pilothouse.ledger.database import Database
from pilothouse.ledger.decisions import SqlDecisions
from pilothouse.ledger.engine import BUSY_TIMEOUT_S, database_subject, make_engine
from pilothouse.ledger.evidence import SqlEvidence
from pilothouse.ledger.migrate import migrate
from pilothouse.ledger.outcomes import SqlOutcomes
from pilothouse.ledger.prices import SqlPrices
from pilothouse.ledger.translation import translated
from pilothouse.ledger.verdicts import SqlVerdicts

__all__ = ["SqlLedger", "open_ledger"]


class SqlLedger(SqlCharters, SqlEvidence, SqlOutcomes, SqlVerdicts, SqlDecisions, SqlPrices):
    """`ports.Ledger` on a database; other repositories of the same ledger share its database."""

    def close(self) -> None:
        """Close every connection; the object cannot be used afterwards."""
        self.database.close()


@contextmanager
def open_ledger(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Iterator[SqlLedger]:
    """Open the ledger, creating or migrating its tables, and close it afterwards.

    Args:
        url: SQLAlchemy address, `Settings.ledger_url`.
        busy_timeout_s: How long to wait for another writer, seconds.

    Raises:
        StorageUnavailable: The folder cannot be made, or the ledger is newer than this program.
    """
    subject = database_subject(url)
    if url.startswith("sqlite"):
        _make_folder(subject)
    database = Database(make_engine(url, busy_timeout_s=busy_timeout_s), subject)
    try:
        with translated(subject):
            migrate(database.engine, subject)
        yield SqlLedger(database)
    finally:
        database.close()


def _make_folder(subject: str) -> None:
    try:
        private_folder(Path(subject).parent)
    except OSError as error:
        raise StorageUnavailable(
            f"the folder of the ledger {subject!r} cannot be made ({error.strerror})",
            remedy="Set PILOTHOUSE_HOME to a folder that this user may write.",
            subject=subject,
        ) from error
