# SPDX-License-Identifier: Apache-2.0
"""A ledger as the program of an earlier revision left it, empty or with the rows of another."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pilothouse.ledger import migrate as migration
from pilothouse.ledger.engine import WRITE_OPTION, make_engine

__all__ = ["rows_moved", "sqlite_url", "steps_to"]


def steps_to(url: str, revision: str) -> None:
    """Bring a ledger to a revision step by step."""
    config = Config()
    config.set_main_option("script_location", str(migration.MIGRATIONS))
    engine = make_engine(url)
    with engine.execution_options(**{WRITE_OPTION: True}).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def rows_moved(source: str, target: str, *, without: frozenset[str] = frozenset()) -> dict[str, int]:
    """Put the rows of a ledger into an older one, as far as it has their tables and columns; return how many of each table."""
    moved: dict[str, int] = {}
    engines = [make_engine(url) for url in (source, target)]
    with (
        engines[0].begin() as reading,
        engines[1].execution_options(**{WRITE_OPTION: True}).begin() as writing,
    ):
        new, old = sa.MetaData(), sa.MetaData()
        new.reflect(reading)
        old.reflect(writing)
        for table in old.sorted_tables:
            if table.name in {"alembic_version", *without} or table.name not in new.tables:
                continue
            names = [column.name for column in table.columns if column.name in new.tables[table.name].columns]
            columns = [new.tables[table.name].columns[name] for name in names]
            rows = [dict(row) for row in reading.execute(sa.select(*columns)).mappings()]
            moved[table.name] = len(rows)
            if rows:
                writing.execute(table.insert(), rows)
    for engine in engines:
        engine.dispose()
    return moved


def sqlite_url(path: Path) -> str:
    """Return the address of a file, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"
