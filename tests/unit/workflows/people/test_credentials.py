# SPDX-License-Identifier: Apache-2.0
"""Credentials by name: typed in, listed with their end, given to whom they are for, and kept nowhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.errors import LimitExceeded, ToolError, UsageError
from pilothouse.ledger.credentials import SqlCredentials
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.credentials import CREDENTIALS_MAX, Credential, CredentialStore
from pilothouse.runtime.tools.credentials import CredentialBroker
from pilothouse.workflows.people.credentials import add_credential, state_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_the_commands_name_a_place_and_never_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("PILOTHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ERP_TOKEN", "erp-canary-1")
    cli = command_tree()

    def run(*words):
        return CliRunner().invoke(cli, ["credential", *words])

    assert "No credential yet" in run("list").output
    made = run(
        "add", "erp-read", "--env", "ERP_TOKEN", "--host", "ERP.example:443", "--expires", "2099-01-01"
    )
    assert "sent to erp.example:443 only" in made.output
    assert "valid" in run("list").output
    [row] = json.loads(run("list", "--json").output)
    assert (row["state"], row["variable"], row["host"]) == ("valid", "ERP_TOKEN", "erp.example:443")
    assert row["expires_at"].startswith("2099-01-02T00:00"), "its last day is included"
    assert run("add", "erp-read", "--file", str(tmp_path / "secret")).exit_code == 0
    assert json.loads(run("list", "--json").output)[0]["state"] == "no end is known"
    for words in (
        ["Bad Name", "--env", "X"],
        ["x"],
        ["x", "--env", "X", "--file", "y"],
        ["x", "--env", "X", "--host", "h"],
    ):
        assert run("add", *words).exit_code != 0, words
    assert "forgotten" in run("remove", "erp-read").output
    assert run("remove", "erp-read").exit_code != 0
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"erp-canary" not in kept


def test_a_credential_that_has_expired_is_not_added(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlCredentials(ledger.database)

        def add(expires_at):
            add_credential(
                store, "erp", variable="X", file=None, host=None, expires_at=expires_at, actor="sam", now=NOW
            )

        for end in (datetime(2020, 1, 2, tzinfo=UTC), NOW):
            with pytest.raises(
                UsageError, match=r"would have expired already: its last day is (1 Jan 2020|20 Nov 2026)"
            ):
                add(end)
        assert store.all() == ()
        add(NOW + timedelta(hours=1))
        assert [state_of(one, NOW + timedelta(hours=2)) for one in store.all()] == ["expired"]


def test_the_store_keeps_so_many_and_records_each_change(tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.ledger.credentials.CREDENTIALS_MAX", 2)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        store = SqlCredentials(ledger.database)
        assert isinstance(store, CredentialStore)
        for name in ("b", "a", "a"):
            store.save(Credential(name=name, variable="X", expires_at=NOW), at=NOW, actor="sam")
        assert [(one.name, one.expires_at) for one in store.all()] == [("a", NOW), ("b", NOW)]
        with pytest.raises(LimitExceeded):
            store.save(Credential(name="c", variable="X"), at=NOW, actor="sam")
        assert store.remove("b", at=NOW, actor="sam")
        kinds = [one.kind for one in ledger.decisions("", limit=10)]
    assert sorted(kinds) == ["credential.removed", *["credential.saved"] * 3]
    assert CREDENTIALS_MAX == 500


def test_a_started_program_gets_only_what_is_not_for_a_host():
    kept = [
        Credential(name="local", variable="LOCAL"),
        Credential(name="far", variable="FAR", host="erp.example:443"),
        Credential(name="late", variable="LOCAL", expires_at=NOW - timedelta(seconds=1)),
        Credential(name="soon", variable="SOON", expires_at=NOW + timedelta(seconds=1)),
        Credential(name="empty", variable="NOTHING"),
    ]
    told = []
    broker = CredentialBroker(
        lambda: kept,
        now=lambda: NOW,
        environment={"LOCAL": 'quo"ted-1', "FAR": "far-secret", "SOON": "soon-secret"},
        on_trouble=lambda name, _what: told.append(name),
    )
    assert broker.filled("x ${credential:local}", host=None) == 'x quo"ted-1'
    assert broker.filled("${credential:soon}", host=None) == "soon-secret", "until its last second"
    assert broker.filled("${credential:far}", host="erp.example:443") == "far-secret"
    for name in ("far", "late", "empty", "nobody", "far"):
        with pytest.raises(ToolError) as caught:
            broker.filled(f"${{credential:{name}}}", host=None)
        assert caught.value.kind == "auth"
    assert told == ["far", "late", "empty", "nobody"]
    assert broker.without('{"a": "quo\\"ted-1 far-secret"}') == '{"a": "[credential local] [credential far]"}'


def test_a_secret_that_begins_with_another_leaves_no_rest():
    kept = [Credential(name="a", variable="A"), Credential(name="b", variable="B")]
    held = {"A": "erp-key", "B": 'erp-key-"long'}
    broker = CredentialBroker(lambda: kept, now=lambda: NOW, environment=held)
    for name in "ab":
        broker.filled(f"${{credential:{name}}}", host=None)
    for text in (held["B"], json.dumps(held["B"])):
        assert broker.without(text).strip('"') == "[credential b]"


@pytest.mark.parametrize("variable", ["", "A B", "1ST", "V" * 129, "ERP\x00", "ÄRP", "A=B"])
def test_a_variable_is_a_name_that_every_ledger_holds(variable):
    with pytest.raises(UsageError, match="no name of a variable"):
        add_credential(
            None, "erp", variable=variable, file=None, host=None, expires_at=None, actor="test", now=NOW
        )
