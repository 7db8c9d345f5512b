# SPDX-License-Identifier: Apache-2.0
"""The file is durable, and what the database says becomes our errors."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from pilothouse.errors import Conflict, DigestMismatch, StorageFull, StorageUnavailable, UsageError
from pilothouse.ledger.database import Database
from pilothouse.ledger.engine import make_engine
from pilothouse.ledger.ledger import SqlLedger, open_ledger
from pilothouse.settings import load_settings

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.sqlite"


def opened(file, **options):
    return open_ledger(f"sqlite:///{file}", **options)


def note(ledger):
    return ledger.record(kind="test", agent="a", at=NOW, actor="x", document="{}")


def test_a_returned_write_is_on_disk_and_references_are_checked(file):
    engine = make_engine(f"sqlite:///{file}")
    with opened(file), engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_the_folder_of_the_settings_is_made(tmp_path):
    settings = load_settings({}, home=tmp_path / "new folder %41?#é")
    with open_ledger(settings.ledger_url) as ledger:
        assert note(ledger) == 1
    assert (tmp_path / "new folder %41?#é" / "ledger.sqlite").is_file()


def test_a_folder_that_cannot_be_made_is_unavailable_storage(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageUnavailable, match="cannot be made"), opened(tmp_path / "file" / "x.sqlite"):
        pass


def test_a_file_that_is_no_ledger_is_said_to_be_none(file):
    file.write_bytes(b"no database at all, " * 100)
    with pytest.raises(StorageUnavailable, match="no ledger at all"), opened(file):
        pass


def test_a_server_that_is_not_there_is_said_without_its_password():
    with (
        pytest.raises(StorageUnavailable) as caught,
        open_ledger("postgresql://u:secret@127.0.0.1:9/db", busy_timeout_s=1),
    ):
        pass
    assert "postgresql://u@127.0.0.1:9/db" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_an_address_that_is_no_file_is_refused_without_showing_it(url):
    with pytest.raises(UsageError) as caught, open_ledger(url):
        pass
    assert "secret" not in str(caught.value)


def test_a_lock_that_never_ends_is_a_conflict_that_may_be_repeated(file):
    with opened(file, busy_timeout_s=0.01) as ledger:
        raw = sqlite3.connect(file, isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(Conflict, match="locked"):
            note(ledger)
        raw.execute("ROLLBACK")
        raw.close()
        assert note(ledger) == 1


def test_readers_go_on_while_somebody_writes(file):
    with opened(file, busy_timeout_s=0.01) as ledger:
        note(ledger)
        raw = sqlite3.connect(file, isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        assert len(ledger.decisions("a")) == 1
        raw.execute("ROLLBACK")
        raw.close()


def test_a_full_disk_is_storage_full_and_nothing_is_half_written(file):
    with opened(file) as ledger:
        note(ledger)
        with ledger.database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @event.listens_for(ledger.database.engine, "begin")
        def limit(connection):
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StorageFull, match="nothing was written"):
            ledger.record(kind="test", agent="a", at=NOW, actor="x", document="x" * 1_000_000)
        assert len(ledger.decisions("a")) == 1


def test_a_changed_record_is_noticed_when_it_is_read(file):
    with opened(file) as ledger:
        ledger.save_verdict(
            agent="a",
            at=NOW,
            status="holds",
            document="{}",
            digest="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        )
        raw = sqlite3.connect(file)
        raw.execute('UPDATE verdicts SET document = \'{"word":"GO"}\'')
        raw.commit()
        raw.close()
        with pytest.raises(DigestMismatch):
            ledger.latest_verdict("a")


def test_a_read_only_ledger_says_so(file, monkeypatch):
    with opened(file):
        pass
    engine = make_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def refuse(connection, _record):
        connection.execute("PRAGMA query_only = ON")

    with pytest.raises(StorageUnavailable, match="may not be written"):
        note(SqlLedger(Database(engine, str(file))))
    engine.dispose()
