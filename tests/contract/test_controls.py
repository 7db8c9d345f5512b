# SPDX-License-Identifier: Apache-2.0
"""What `ports.ControlStore` promises, and how fast the running server learns of it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from fresh_ledger import ledger_url

from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ports.controls import NO_CONTROLS, Controls, ControlStore, Pause, Rollback
from pilothouse.workflows.controls.controls import ControlsCache

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(ledger_url(tmp_path)) as opened:
        yield opened


@pytest.fixture
def store(ledger):
    return SqlControls(ledger.database)


def pause(**fields):
    return Pause(
        **{"agent": AGENT, "tool": None, "reason": "wrong queue", "actor": "sam", "at": NOW} | fields
    )


def rollback(**fields):
    base = {
        "agent": AGENT,
        "to_version": "v1",
        "from_version": "v2",
        "reason": "worse",
        "actor": "dana",
        "at": NOW,
    }
    return Rollback(**base | fields)


def kinds(ledger):
    return [one.kind for one in reversed(ledger.decisions(AGENT))]


def test_nothing_is_in_force_at_first(store):
    assert isinstance(store, ControlStore)
    assert store.read() == NO_CONTROLS


def test_a_pause_stands_until_it_is_ended_and_both_are_recorded_with_who_when_and_why(store, ledger):
    assert store.pause(pause()) == pause()
    assert store.read().pause_of(AGENT) == pause()
    assert store.read().pause_of("another-agent") is None
    assert store.resume(AGENT, None, reason="cured", actor="dana", at=NOW + timedelta(hours=1)) == pause()
    assert store.read() == NO_CONTROLS
    assert kinds(ledger) == ["agent.paused", "agent.resumed"]
    ended = ledger.decisions(AGENT)[0]
    assert (ended.actor, ended.at, json.loads(ended.document)["reason"]) == (
        "dana",
        NOW + timedelta(hours=1),
        "cured",
    )


def test_a_second_pause_changes_nothing_and_is_not_recorded(store, ledger):
    store.pause(pause())
    assert store.pause(pause(actor="kim", reason="again")) == pause()
    assert kinds(ledger) == ["agent.paused"]


def test_ending_what_was_not_paused_is_no_decision(store, ledger):
    assert store.resume(AGENT, None, reason="", actor="sam", at=NOW) is None
    assert store.end_rollback(AGENT, reason="", actor="sam", at=NOW) is None
    assert kinds(ledger) == []


def test_a_tool_is_paused_alone_and_the_whole_agent_covers_every_tool(store):
    store.pause(pause(tool="erp.route@1"))
    state = store.read()
    assert state.pause_of(AGENT) is None
    assert state.pause_of(AGENT, "erp.find_po@2") is None
    assert state.pause_of(AGENT, "erp.route@1").reason == "wrong queue"
    assert "erp.route@1 of ap-invoice-triage is paused" in state.refusal_of(AGENT, tool="erp.route@1")
    store.pause(pause())
    assert store.read().pause_of(AGENT, "erp.find_po@2").tool is None


def test_a_rollback_lets_one_version_alone_serve(store, ledger):
    store.roll_back(rollback())
    state = store.read()
    assert state.refusal_of(AGENT, version="v1") is None
    for other in ("v2", None):
        assert "rolled back to v1" in state.refusal_of(AGENT, version=other)
    store.roll_back(rollback(to_version="v0"))
    assert store.read().rollback_of(AGENT).to_version == "v0"
    assert store.end_rollback(AGENT, reason="cured", actor="dana", at=NOW).to_version == "v0"
    assert store.read() == NO_CONTROLS
    assert kinds(ledger) == ["agent.rolled_back", "agent.rolled_back", "agent.rollback_ended"]


def test_the_running_server_learns_of_it_within_two_seconds_from_another_process(tmp_path, ledger, store):
    cache = ControlsCache(store, state=ledger.database.state)
    assert isinstance(cache, Controls)
    cache.start()
    try:
        with open_ledger(ledger_url(tmp_path)) as elsewhere:
            SqlControls(elsewhere.database).pause(pause())
        end = time.monotonic() + 2.0
        while cache.state().pause_of(AGENT) is None and time.monotonic() < end:
            time.sleep(0.01)
        assert cache.state().pause_of(AGENT) == pause()
    finally:
        cache.stop()


def test_a_ledger_that_is_as_it_was_is_not_read_again(ledger, store):
    cache = ControlsCache(store, state=ledger.database.state)
    cache.refresh()
    unread = cache.state()
    cache.refresh()
    assert cache.state() is unread
    store.pause(pause())
    cache.refresh()
    assert cache.state().pause_of(AGENT) == pause()


def test_a_ledger_out_of_reach_leaves_the_pause_in_force_and_says_so(store):
    class Broken:
        def read(self):
            raise StorageUnavailable("gone", remedy="Run `pilothouse doctor`.")

    store.pause(pause())
    cache = ControlsCache(store)
    cache._store = Broken()
    cache.refresh()
    assert cache.state().pause_of(AGENT) == pause()
    assert cache.trouble == "gone"
    cache._store = store
    cache.refresh()
    assert cache.trouble == ""
