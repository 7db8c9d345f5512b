# SPDX-License-Identifier: Apache-2.0
"""The tables come into being once, all or nothing, and a newer ledger is refused."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from old_ledger import sqlite_url, steps_to
from postgres_server import fresh_postgres_url, postgres_server
from sqlalchemy import create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger import migrate as migration
from pilothouse.ledger.group_commit import GroupCommit
from pilothouse.ledger.leases import SqlWork
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.tables import METADATA, TABLES

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "home" / "ledger.sqlite"


def opened(file):
    return open_ledger(f"sqlite:///{file}")


def tables_of(file):
    """Return how the file describes each table and index, by name."""
    raw = sqlite3.connect(file)
    found = raw.execute("SELECT name, sql FROM sqlite_master").fetchall()
    raw.close()
    # Space around brackets and commas is of whoever wrote the text: SQLite puts a column that comes later on its own line.
    return {name: sql and re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())) for name, sql in found}


@pytest.mark.parametrize("revision", ["0001", "0009", migration.HEAD])
def test_a_new_ledger_has_the_tables_that_all_steps_make_from_whatever_was_there(file, tmp_path, revision):
    with opened(file):
        pass
    old = tmp_path / "old" / "ledger.sqlite"
    steps_to(sqlite_url(old), revision)
    with opened(old):
        pass
    assert tables_of(old) == tables_of(file)
    for one in (old, file):
        raw = sqlite3.connect(one)
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(migration.HEAD,)]
        raw.close()


def test_the_migrated_tables_are_those_of_the_schema(file):
    steps_to(sqlite_url(file), migration.HEAD)
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_no_table_is_left_out_of_the_list():
    assert set(METADATA.tables) == {table.name for table in TABLES}


def test_the_head_that_is_checked_at_open_is_the_newest_step():
    config = Config()
    config.set_main_option("script_location", str(migration.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migration.HEAD]


def test_no_two_steps_have_one_number():
    """Alembic takes the last of two and only warns: a ledger from before would never see the other."""
    numbers = [path.name[:5] for path in (migration.MIGRATIONS / "versions").glob("v[0-9]*.py")]
    assert len(set(numbers)) == len(numbers)


def test_a_newer_ledger_is_refused_with_a_remedy_and_left_alone(file):
    with opened(file):
        pass
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailable, match="9999") as caught, opened(file):
        pass
    assert "a newer one" in caught.value.remedy
    raw = sqlite3.connect(file)
    assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    raw.close()


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_who_has_a_ledger_open_that_another_release_takes_further_writes_nothing_more(file, request, where):
    url = f"sqlite:///{file}" if where == "sqlite" else fresh_postgres_url(request)

    def note(ledger):
        return ledger.record(kind="test", agent="a", at=NOW, actor="x", document="{}")

    def take_to(revision):
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
        engine.dispose()

    with open_ledger(url) as ledger:
        assert note(ledger) == 1
        take_to("9999")
        for write in (
            lambda: note(ledger),
            lambda: SqlWork(ledger.database).acquire("worker", "me"),
            lambda: GroupCommit(ledger.database).run(lambda _: None),
        ):
            with pytest.raises(
                StorageUnavailable, match=f"revision 9999 now.*knows {migration.HEAD}"
            ) as caught:
                write()
            assert "start it again" in caught.value.remedy
        assert [one.sequence for one in ledger.decisions("a")] == [1], "what is there can be read"
        take_to(migration.HEAD)
        assert note(ledger) == 2


def test_a_new_ledger_that_fails_half_way_leaves_no_table_behind(file):
    def fails(*_, **__):
        raise RuntimeError("power cut")

    event.listen(METADATA.tables["prices"], "before_create", fails)
    try:
        with pytest.raises(RuntimeError, match="power cut"), opened(file):
            pass
    finally:
        event.remove(METADATA.tables["prices"], "before_create", fails)
    assert tables_of(file) == {}
    with opened(file) as ledger:
        assert tuple(ledger.charters()) == ()


def test_a_step_that_fails_leaves_an_old_ledger_as_it_was(file, monkeypatch):
    steps_to(sqlite_url(file), "0009")
    before = tables_of(file)
    made = op.create_table

    def fails_at_incidents(name, *columns, **options):
        if name == "incidents":
            raise RuntimeError("power cut")
        return made(name, *columns, **options)

    monkeypatch.setattr("alembic.op.create_table", fails_at_incidents)
    with pytest.raises(RuntimeError, match="power cut"), opened(file):
        pass
    assert tables_of(file) == before
    monkeypatch.undo()
    with opened(file) as ledger:
        assert tuple(ledger.charters()) == ()


def test_many_that_open_a_new_ledger_at_once_all_get_it(file):
    failures = []

    def open_it():
        try:
            with opened(file) as ledger:
                ledger.charters()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_every_table_and_index_compiles_for_postgresql():
    dialect = postgresql.dialect()
    for table in METADATA.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "CREATE TABLE" in text
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))
    assert "BIGSERIAL" in str(CreateTable(METADATA.tables["decisions"]).compile(dialect=dialect))
