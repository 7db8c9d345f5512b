# SPDX-License-Identifier: Apache-2.0
"""What `ports.SessionStore` promises: a link signs in once, and nobody's session ends, lives on or wakes with another's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url
from sqlalchemy import select

from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.sessions import IDLE_MAX, SEEN_EVERY, SqlSessions, sessions, sign_in_links

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


@pytest.fixture
def store(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as ledger:
        yield SqlSessions(ledger.database)


def issue(store, link, identity, *, at=NOW):
    store.issue_link(link, identity, actor="sam", at=at, expires_at=at + 15 * MINUTE)


def sign_in(store, name, *, at=NOW):
    issue(store, f"link-{name}", name, at=at)
    return store.redeem(f"link-{name}", f"session-{name}", now=at, expires_at=at + WEEK)


def kept(store, column):
    with store.database.read() as connection:
        return set(connection.execute(select(column)).scalars())


def test_a_link_signs_in_whom_it_was_made_for_and_once(store):
    issue(store, "a", "ana")
    issue(store, "b", "ben")
    assert store.read_link("b", NOW) == "ben"
    assert store.redeem("b", "s", now=NOW, expires_at=NOW + WEEK) == "ben"
    assert store.redeem("b", "t", now=NOW, expires_at=NOW + WEEK) is None
    assert store.redeem("c", "t", now=NOW, expires_at=NOW + WEEK) is None
    assert (store.read("s", NOW).identity, store.read("t", NOW)) == ("ben", None)
    assert store.read_link("a", NOW) == "ana", "another's link is left"
    assert store.redeem("a", "u", now=NOW + 15 * MINUTE, expires_at=NOW + WEEK) is None, "it is over"


def test_links_that_are_over_are_not_kept(store):
    issue(store, "a", "ana")
    issue(store, "b", "ben", at=NOW + 14 * MINUTE)
    issue(store, "c", "cem", at=NOW + 15 * MINUTE)
    assert kept(store, sign_in_links.c.link_hash) == {"b", "c"}


def test_signing_in_removes_the_sessions_that_are_over_and_no_others(store):
    for name, at in (("old", NOW - WEEK), ("idle", NOW - IDLE_MAX), ("live", NOW - MINUTE), ("new", NOW)):
        sign_in(store, name, at=at)
    assert kept(store, sessions.c.identity) == {"live", "new"}


def test_a_session_lives_while_it_is_used_and_only_it(store):
    for name in ("ana", "ben"):
        sign_in(store, name)
    first = store.read("session-ana", NOW + SEEN_EVERY - MINUTE)
    assert first.seen_at == NOW
    assert store.read("session-ana", NOW + SEEN_EVERY - MINUTE).seen_at == NOW, (
        "a use within five minutes writes nothing"
    )
    used = NOW + IDLE_MAX - MINUTE
    store.read("session-ana", used)
    assert store.read("session-ana", NOW + IDLE_MAX).seen_at == used
    assert store.read("session-ben", NOW + IDLE_MAX) is None
    assert store.read("session-ana", NOW + WEEK) is None


def test_who_signs_out_signs_out_nobody_else(store):
    for name in ("ana", "ben"):
        sign_in(store, name)
    assert store.end("session-ana", now=NOW) == "ana"
    assert store.end("session-ana", now=NOW) is None
    assert store.read("session-ana", NOW) is None
    assert store.read("session-ben", NOW).identity == "ben"
