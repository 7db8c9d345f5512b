# SPDX-License-Identifier: Apache-2.0
"""A ledger on PostgreSQL has one server at a time: the place outlives a restart of the database, and no death of its holder."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from pilothouse.errors import Conflict, StorageUnavailable
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.one_server import OneServer

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    started = PostgresServer()  # one of our own: it is stopped here
    yield started
    started.close()


@pytest.fixture
def places(server):
    """Make the place of a server with a folder, all on one database."""
    url = server.new_database()
    with ExitStack() as opened:

        def place(folder):
            ledger = opened.enter_context(open_ledger(url))
            made = OneServer(ledger.database, Path(folder))
            opened.callback(made.__exit__)
            return made

        yield place


def test_a_second_server_is_told_who_has_the_ledger(places):
    first, second = places("/srv/one"), places("/srv/two")
    first.take()
    with pytest.raises(Conflict, match=r"another server runs on this ledger: \S+:/srv/one "):
        second.take()
    first.look(NOW)
    first.__exit__()
    second.take()
    with pytest.raises(Conflict, match=":/srv/two "):
        first.look(NOW)


def test_a_place_is_taken_again_after_the_database_was_restarted(server, places):
    first, second = places("/srv/one"), places("/srv/two")
    first.take()
    server.stop("immediate")
    with pytest.raises(StorageUnavailable):
        first.look(NOW)
    server.start()
    first.look(NOW)
    with pytest.raises(Conflict):
        second.take()


def test_a_ledger_in_a_file_has_the_lock_of_its_folder(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        for folder in ("/srv/one", "/srv/two"):
            OneServer(ledger.database, Path(folder)).take()
