# SPDX-License-Identifier: Apache-2.0
"""`pilothouse audit erase`: what is kept of a person goes, addresses as well, and the log goes on verifying."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime

from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.ledger.contacts import SqlContacts
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.contacts import Contact

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


def test_whoever_is_erased_is_reached_nowhere_any_more_and_the_log_verifies(tmp_path):
    def typed(*words):
        done = CliRunner().invoke(command_tree(), [*words, "--home", str(tmp_path)], catch_exceptions=False)
        return done.output

    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        kept = SqlContacts(ledger.database)
        for identity, channel in (("oidc:ana", "mail"), ("oidc:ana", "phone"), ("oidc:ben", "mail")):
            url = f"mailto://{identity[5:]}.{channel}@customer.example"
            kept.put(Contact(identity=identity, channel=channel, url=url, zone="UTC", actor="kim", at=NOW))
    assert "Nothing that belongs to oidc:eve" in typed("audit", "erase", "oidc:eve", "--reason", "asked")
    assert "no address of theirs is kept" in typed("audit", "erase", "oidc:ana", "--reason", "asked")
    assert "Nothing that belongs to oidc:ana" in typed("audit", "erase", "oidc:ana", "--reason", "again")
    listed = typed("contact", "list")
    assert ("oidc:ben" in listed, "oidc:ana" in listed) == (True, False)
    assert typed("audit", "verify").startswith("verified")
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.sqlite*"))
    assert (b"ana.mail@" in raw, b"ana.phone@" in raw, b"ben.mail@" in raw) == (False, False, True)
