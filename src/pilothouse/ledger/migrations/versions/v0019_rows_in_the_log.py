# SPDX-License-Identifier: Apache-2.0
"""Prices, outcomes, labels, pauses and keys stand in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from pilothouse.ledger.row_log import LOGGED, fresh_salt, log_rows

__all__ = ["upgrade"]

revision = "0019"
down_revision = "0018"

_SALTED = {"outcomes": "trace_id", "review_labels": "sequence"}
_TABLES = (
    *("prices", "outcomes", "review_labels", "controls"),
    *("gateway_keys", "gateway_providers", "credentials"),
)
"""Those of this step: a table that comes into the log later is adopted by a step of its own."""

_ROWS_AT_ONCE = 1_000


def upgrade() -> None:
    """Add the salts, and name every row in the log."""
    connection = op.get_bind()
    for table, key in _SALTED.items():
        op.add_column(table, sa.Column("salt", sa.String(32), nullable=False, server_default=""))
        _fill_salts(connection, table, key)
    for table in _TABLES:
        logged = LOGGED[table]
        names = (*logged.key, *logged.public, *logged.private, *(["salt"] if table in _SALTED else []))
        named = sa.table(table, *(sa.column(name) for name in names))
        query = sa.select(named).order_by(*(named.c[name] for name in logged.key))
        pages = connection.execute(query).mappings()
        for rows in pages.partitions(_ROWS_AT_ONCE):
            log_rows(connection, table, added=rows, at=datetime.now(UTC), actor="pilothouse", adopted=True)


def _fill_salts(connection: sa.Connection, table: str, key: str) -> None:
    named = sa.table(table, sa.column(key), sa.column("salt"))
    change = sa.update(named).where(named.c[key] == sa.bindparam("of")).values(salt=sa.bindparam("fresh"))
    keys = connection.execute(sa.select(named.c[key])).scalars().all()
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        some = keys[start : start + _ROWS_AT_ONCE]
        connection.execute(change, [{"of": one, "fresh": fresh_salt()} for one in some])
