# SPDX-License-Identifier: Apache-2.0
"""Create or migrate the tables of a ledger, one process at a time; refuse a ledger of a newer release."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    select,
)

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.engine import WRITE_OPTION
from pilothouse.ledger.revision import HEAD, MIGRATIONS

__all__ = ["HEAD", "MIGRATIONS", "migrate"]

_REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, as it makes it itself."""


def migrate(engine: Engine, subject: str) -> None:
    """Bring a ledger to `HEAD`.

    The write lock of the database is the lock: a second process waits for it and then finds nothing
    left to do. DDL is part of the transaction, so a kill in the middle leaves the ledger as it was. A new ledger is made as it
    is to be, not step by step: a test holds both ways to the same tables.

    Args:
        engine: Engine of the ledger, whose tables may be missing or old.
        subject: The file, as messages name it.

    Raises:
        StorageUnavailable: The ledger was written by a newer program.
    """
    with engine.begin() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.execution_options(**{WRITE_OPTION: True}).begin() as connection:
        if not connection.dialect.has_table(connection, _REVISION.name):
            _make(connection)
            return
        current = _revision(connection)
        if current != HEAD:
            _upgrade(connection, current, subject)


def _revision(connection: Connection) -> str | None:
    # Asked without Alembic, whose import costs more than everything else at the start of a command.
    if not connection.dialect.has_table(connection, _REVISION.name):
        return None
    return connection.execute(select(_REVISION.c.version_num)).scalar_one_or_none()


def _make(connection: Connection) -> None:
    from pilothouse.ledger.tables import METADATA  # noqa: PLC0415 - every store, and arrays with them, for a new ledger only

    METADATA.create_all(connection, checkfirst=False)
    _REVISION.create(connection)
    connection.execute(insert(_REVISION).values(version_num=HEAD))


def _upgrade(connection: Connection, current: str | None, subject: str) -> None:
    from alembic import command  # noqa: PLC0415 - only an old ledger pays for this import
    from alembic.config import Config  # noqa: PLC0415 - same reason
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - same reason

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StorageUnavailable(
            f"the ledger {subject!r} was written by a newer Pilothouse (revision {current}, "
            f"this one knows {HEAD})",
            remedy="Use the Pilothouse that wrote it or a newer one, or set PILOTHOUSE_HOME to another folder.",
            subject=subject,
        )
    command.upgrade(config, HEAD)
