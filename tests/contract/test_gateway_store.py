# SPDX-License-Identifier: Apache-2.0
"""What `ports.GatewayStore` promises."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import Conflict, LimitExceeded
from pilothouse.ledger import gateway
from pilothouse.ledger.gateway import SqlGatewayStore
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.gateway import GatewayStore, Provider, Spent, WireProtocol
from pilothouse.workflows.gateway.keys import add_key, revoke_key

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def store(ledger):
    return SqlGatewayStore(ledger.database)


def made(store, agent="triage", **fields):
    base = {"environment": None, "models": (), "spans": True, "life": None, "actor": "sam", "now": NOW}
    return add_key(store, agent, **base | fields)


def test_a_key_is_kept_by_its_digest_alone_until_it_is_revoked(store, ledger, tmp_path):
    assert isinstance(store, GatewayStore)
    new = made(store, models=("m-2026-01-01",), environment="pilot")
    assert store.list_keys() == (new.kept,)
    assert new.kept.expires_at == NOW + timedelta(days=90)
    revoked = revoke_key(store, new.key, actor="dana", now=NOW + timedelta(hours=1))
    assert revoked.revoked_at == NOW + timedelta(hours=1)
    assert revoke_key(store, new.kept.prefix, actor="dana", now=NOW + timedelta(days=1)) == revoked
    kinds = [(one.kind, one.actor) for one in ledger.decisions("triage")]
    assert kinds == [("key.revoked", "dana"), ("key.added", "sam")]
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert new.key.encode() not in stored
    assert new.kept.digest.encode() in stored


def test_a_prefix_is_given_once(store):
    kept = made(store).kept
    with pytest.raises(Conflict):
        store.add_key(kept)


def test_the_other_keys_of_an_agent_go_on_when_one_is_revoked(store):
    first, second = made(store), made(store)
    assert revoke_key(store, second.kept.prefix, actor="dana", now=NOW).prefix == second.kept.prefix
    assert {one.prefix: one.revoked_at for one in store.list_keys()} == {
        first.kept.prefix: None,
        second.kept.prefix: NOW,
    }


def test_the_last_use_of_a_key_is_kept_and_one_from_before_is_unknown_until_it_is_used(store, ledger):
    used, idle, old = (made(store).kept.prefix for _ in range(3))
    with ledger.database.write() as connection:
        row = gateway.gateway_keys.c.prefix == old
        connection.execute(gateway.gateway_keys.update().where(row).values(used_us=None))

    def kept():
        return {one.prefix: (one.used_at, one.is_followed) for one in store.list_keys()}

    store.note_uses({used: NOW, "gone": NOW})
    assert kept() == {used: (NOW, True), idle: (None, True), old: (None, False)}
    later = NOW + timedelta(hours=2)
    store.note_uses({used: later, old: later})
    store.note_uses({used: NOW})  # of another server, whose hour began sooner
    assert kept() == {used: (later, True), idle: (None, True), old: (later, True)}


def test_a_provider_is_replaced_by_name_and_can_be_forgotten(store):
    first = Provider(name="acme", url="https://a.example", protocol=WireProtocol.OPENAI)
    second = Provider(
        name="acme",
        url="https://b.example",
        protocol=WireProtocol.ANTHROPIC,
        credential_file=Path("/run/secrets/acme"),
        region="eu",
    )
    other = Provider(name="other", url="https://o.example", protocol=WireProtocol.OPENAI)
    for one in (other, first, second):
        store.save_provider(one, at=NOW, actor="ana")
    assert store.providers() == (second, other)
    assert store.remove_provider("acme", at=NOW, actor="ana")
    assert not store.remove_provider("acme", at=NOW, actor="ana")
    assert store.providers() == (other,)


def test_no_more_keys_and_providers_than_may_be_kept_and_one_of_them_can_still_be_replaced(
    store, monkeypatch
):
    monkeypatch.setattr(gateway, "PROVIDERS_MAX", 2)
    monkeypatch.setattr(gateway, "KEYS_MAX", 2)
    named = {
        name: Provider(name=name, url=f"https://{name}.example", protocol=WireProtocol.OPENAI)
        for name in ("acme", "bell", "cole")
    }
    for name in ("acme", "bell", "acme"):
        store.save_provider(named[name], at=NOW, actor="ana")
    with pytest.raises(LimitExceeded, match="2 providers"):
        store.save_provider(named["cole"], at=NOW, actor="ana")
    assert store.providers() == (named["acme"], named["bell"])
    made(store), made(store)
    with pytest.raises(LimitExceeded, match="2 keys"):
        made(store)
    assert len(store.list_keys()) == 2


def test_spending_adds_up_by_day_and_agent(store):
    day = date(2026, 11, 20)
    store.add_spent(day, {"a": Spent(usd_pico=5, tokens=10, calls=1), "b": Spent(calls=1)})
    store.add_spent(day, {"a": Spent(usd_pico=7, tokens=1, calls=1, estimated=1)})
    assert store.spent(day) == {
        "a": Spent(usd_pico=12, tokens=11, calls=2, estimated=1),
        "b": Spent(calls=1),
    }
    assert store.spent(date(2026, 11, 21)) == {}
