# SPDX-License-Identifier: Apache-2.0
"""The place of the one server of a ledger on PostgreSQL: two servers would each judge agents by half of their telemetry.

A file in the data folder already keeps two servers out of one folder, and so of one ledger in it. A PostgreSQL server
can be reached from many folders, so the place is a lock there, which ends with the connection that holds it.
"""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from pilothouse.errors import Conflict
from pilothouse.ledger.database import Database
from pilothouse.ledger.translation import translated

__all__ = ["LOOK_EVERY_S", "OneServer"]

LOOK_EVERY_S = 10.0
"""How soon a server takes its place again after the database was restarted, or says that another one has it."""

_LOCK = {"first": 0x70696C6F, "second": 0x74310000}
"""Our number among the advisory locks of the database: "pilot1"."""

_NAME_CHARS_MAX = 63
"""PostgreSQL cuts longer names of applications off at the end, where ours says the folder; it keeps ASCII only."""

_GONE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4"
"""A machine that vanished holds the lock for half a minute and not for two hours."""

_HOLDER = text(
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted AND classid = :first AND objid = :second AND objsubid = 2"
    " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class OneServer:
    """Holds the place while a server runs; on SQLite there is nothing to hold.

    Args:
        database: The ledger.
        folder: Data folder of the server, which others are told.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._name = f"{socket.gethostname()}:{folder}".encode("ascii", "replace").decode()
        if len(self._name) > _NAME_CHARS_MAX:
            self._name = f"...{self._name[3 - _NAME_CHARS_MAX :]}"
        self._held: Connection | None = None

    def __enter__(self) -> Self:
        """Take the place, as `take`."""
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the place back."""
        self._leave()

    def take(self) -> None:
        """Take the place.

        Raises:
            Conflict: Another server has it.
            StorageUnavailable: The ledger does not answer.
        """
        if not self._database.is_postgres:
            return
        with translated(self._database.subject):
            self._held = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._held.detach()  # it is kept, and takes nobody's place in the pool
            self._held.execute(text(_GONE))
            name = text("SELECT set_config('application_name', :name, false)")
            self._held.execute(name, {"name": self._name})
            if self._held.execute(text("SELECT pg_try_advisory_lock(:first, :second)"), _LOCK).scalar():
                return
            holder = self._held.execute(_HOLDER, _LOCK).scalar() or "one that stops just now"
        self._leave()
        raise Conflict(
            f"another server runs on this ledger: {holder}",
            remedy="Stop it, or give this one a database of its own (PILOTHOUSE_LEDGER): each would judge agents by a part of "
            "their telemetry. More processes for model calls: `pilothouse up --role gateway` beside the first.",
            subject="ledger",
        )

    def look(self, _now: datetime) -> None:
        """Take the place again where the connection that held it is gone.

        Raises:
            Conflict: Another server took it meanwhile.
            StorageUnavailable: The ledger does not answer.
        """
        if self._held is not None:
            try:
                self._held.execute(text("SELECT 1"))
            except SQLAlchemyError:
                self._leave()
        if self._held is None:
            self.take()

    def _leave(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
