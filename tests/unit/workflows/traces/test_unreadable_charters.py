# SPDX-License-Identifier: Apache-2.0
"""A charter in force that this program cannot read keeps nobody else's alerts, incidents and addresses waiting."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from control_rooms import AGENT, NOW, reach

from pilothouse.core.evidence.evidence import Scope
from pilothouse.errors import CharterError
from pilothouse.workflows.incidents import alerts
from pilothouse.workflows.traces.reconcile import GapAlert, open_gap_incidents


@pytest.fixture
def room(room):
    room.installation.ledger.accept_charter(
        agent="aged", digest="d" * 64, text="agent: [", path="c.yaml", at=NOW - timedelta(days=60)
    )
    assert [one.agent for one in room.installation.ledger.charters()] == ["aged", AGENT], "it comes first"
    return room


def test_whoever_has_a_readable_charter_hears_that_telemetry_does_not_add_up(room):
    with pytest.raises(CharterError):
        open_gap_incidents(room, GapAlert(opened_at=NOW, items=3), NOW)
    assert [one.agent for one in room.incidents.incidents()] == [AGENT]


def test_whoever_has_a_readable_charter_hears_of_what_is_breached(room, monkeypatch):
    breach = SimpleNamespace(
        kind="completion",
        requirement="MON-1",
        sentence="Completion fell.",
        scope=Scope(),
        items=(),
        window_from=None,
    )
    monkeypatch.setattr(alerts, "newest_verdict", lambda _ledger, agent: agent)
    monkeypatch.setattr(alerts, "breaches", lambda _verdict: [breach])
    with pytest.raises(CharterError):
        alerts.alert_on_verdicts(room, NOW)
    assert [one.agent for one in room.incidents.incidents()] == [AGENT]


def test_addresses_of_everybody_else_are_kept(room):
    reach(room, "sam", "json://127.0.0.1:9/")
    assert room.installation.ledger.decisions(AGENT, kind="contact.set", limit=1)
