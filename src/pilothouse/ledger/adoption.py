# SPDX-License-Identifier: Apache-2.0
"""Steps that migrations apply to existing rows: enter them into the audit log, which proves them from then on, and complete erasures."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from pilothouse.ledger.row_log import LOGGED, fresh_salt, log_rows
from pilothouse.ports.curation import ERASED

__all__ = ["adopt_rows", "forget_digests"]

_ROWS_AT_ONCE = 1_000


def adopt_rows(table: str, *, salted: str | None = None) -> None:
    """Enter every row of a table into the audit log, within a migration step.

    Args:
        table: Its name, one of `LOGGED`.
        salted: Its key, where its rows get the salt of their texts first.
    """
    connection, logged = op.get_bind(), LOGGED[table]
    if salted is not None:
        op.add_column(table, sa.Column("salt", sa.String(32), nullable=False, server_default=""))
        _fill_salts(connection, table, salted)
    names = (*logged.key, *logged.public, *logged.private, *(() if salted is None else ("salt",)))
    named = sa.table(table, *(sa.column(name) for name in names))
    query = sa.select(named).order_by(*(named.c[name] for name in logged.key))
    found = connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}).mappings()
    for rows in found.partitions():
        log_rows(connection, table, added=rows, at=datetime.now(UTC), actor="pilothouse", adopted=True)


def forget_digests() -> None:
    """Overwrite the digests of questions whose texts were erased by an earlier release, and enter the change in the log."""
    connection, logged = op.get_bind(), LOGGED["review_items"]
    names = (*logged.key, *logged.public, *logged.private, "salt")
    items = sa.table("review_items", *(sa.column(name) for name in names))
    erased = items.c.proposal == ERASED
    ids = connection.execute(sa.select(items.c.item_id).where(erased)).scalars().all()
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        here = items.c.item_id.in_(ids[start : start + _ROWS_AT_ONCE])
        before = connection.execute(sa.select(items).where(here)).mappings().all()
        for one in ids[start : start + _ROWS_AT_ONCE]:
            of_erased = f"erased {one}"[:64]
            values = {"call_digest": of_erased, "content_digest": of_erased, "salt": fresh_salt()}
            connection.execute(sa.update(items).where(items.c.item_id == one).values(**values))
        after = connection.execute(sa.select(items).where(here)).mappings().all()
        log_rows(
            connection, items.name, added=after, removed=before, at=datetime.now(UTC), actor="pilothouse"
        )


def _fill_salts(connection: sa.Connection, table: str, key: str) -> None:
    named = sa.table(table, sa.column(key), sa.column("salt"))
    change = sa.update(named).where(named.c[key] == sa.bindparam("of")).values(salt=sa.bindparam("fresh"))
    keys = connection.execute(sa.select(named.c[key])).scalars().all()
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        some = keys[start : start + _ROWS_AT_ONCE]
        connection.execute(change, [{"of": one, "fresh": fresh_salt()} for one in some])
