# SPDX-License-Identifier: Apache-2.0
"""`ports.CredentialStore` as one table; each change of it is a decision in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Row, String, Table, Text, delete, func, insert, select

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.row_log import logged_change
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.credentials import CREDENTIALS_MAX, Credential

__all__ = ["SqlCredentials", "credentials"]

credentials = Table(
    "credentials",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("variable", String(128), nullable=True),
    Column("file", Text, nullable=True),
    Column("host", String(260), nullable=True),
    Column("expires_us", BigInteger, nullable=True),
)
"""Where credentials of outside systems stand; a secret is named, never stored."""


class SqlCredentials(Repository):
    """Credentials of an installation."""

    def save(self, credential: Credential, *, at: datetime, actor: str) -> None:
        """Store a credential, replacing an earlier one of that name.

        Raises:
            LimitExceeded: There are as many as one installation may have.
        """
        document = {
            "name": credential.name,
            "host": credential.host,
            "expires_at": credential.expires_at and credential.expires_at.isoformat(),
        }
        with self.database.write() as connection:
            here = credentials.c.name == credential.name
            with logged_change(connection, credentials, here, at=at, actor=actor):
                connection.execute(delete(credentials).where(here))
                if (
                    connection.execute(select(func.count()).select_from(credentials)).scalar_one()
                    >= CREDENTIALS_MAX
                ):
                    raise LimitExceeded(
                        f"{CREDENTIALS_MAX} credentials exist, and no more are kept",
                        remedy="Remove one: `pilothouse credential remove NAME`.",
                    )
                connection.execute(
                    insert(credentials).values(
                        name=credential.name,
                        variable=credential.variable,
                        file=None if credential.file is None else str(credential.file),
                        host=credential.host,
                        expires_us=None
                        if credential.expires_at is None
                        else to_micros(credential.expires_at),
                    )
                )
            append_decision(
                connection,
                kind="credential.saved",
                agent="",
                at=at,
                actor=actor,
                document=document,
            )

    def all(self) -> Sequence[Credential]:
        """Return every credential, by name."""
        with self.database.read() as connection:
            rows = connection.execute(select(credentials).order_by(credentials.c.name)).all()
        return tuple(_credential(row) for row in rows)

    def remove(self, name: str, *, at: datetime, actor: str) -> bool:
        """Delete a credential; return whether there was one."""
        with self.database.write() as connection:
            here = credentials.c.name == name
            with logged_change(connection, credentials, here, at=at, actor=actor):
                done = connection.execute(delete(credentials).where(here))
            if done.rowcount:
                append_decision(
                    connection,
                    kind="credential.removed",
                    agent="",
                    at=at,
                    actor=actor,
                    document={"name": name},
                )
            return bool(done.rowcount)


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        name=row.name,
        variable=row.variable,
        file=None if row.file is None else Path(row.file),
        host=row.host,
        expires_at=None if row.expires_us is None else from_micros(row.expires_us),
    )
