# SPDX-License-Identifier: Apache-2.0
"""A permission that was used within the month is never said to be unused, however many calls came after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.testing import FixedClock
from pilothouse.workflows.controls import policy_use
from pilothouse.workflows.controls.policy_use import DECIDED, unused_permissions
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.check import load_charter

CHARTER = Path(__file__).parents[4] / "src/pilothouse/demo/charter/charter.yaml"
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def world(tmp_path):
    charter = load_charter(CHARTER, today=NOW.date())
    clock = FixedClock(NOW)
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), clock)

        def decide(tool, task_type, days_ago, decision="allow", agent=charter.agent):
            clock.advance(NOW - timedelta(days=days_ago) - clock.now())
            log.append(DECIDED, agent, {"tool": tool, "task_type": task_type, "decision": decision})

        yield charter, BoundaryRoom(installation=None, log=log, approvals=None, searched_max=3), decide


def test_a_use_behind_many_pages_counts_and_one_of_before_the_month_does_not(world):
    charter, room, decide = world
    decide("search_po@1", "credit_note", 31)
    decide("find_po@1", "credit_note", 29)
    decide("escalate@1", "credit_note", 28, "deny")
    decide("escalate@1", "po_invoice", 28, agent="another")
    for _ in range(7):
        decide("route_invoice@1", "po_invoice", 1)
    found = unused_permissions(room, charter, NOW)
    assert set(found.permissions) >= {
        ("search_po@1", "credit_note"),
        ("escalate@1", "credit_note"),
        ("escalate@1", "po_invoice"),
    }
    assert not set(found.permissions) & {("find_po@1", "credit_note"), ("route_invoice@1", "po_invoice")}
    assert (len(found.permissions), found.decisions, found.since) == (10, 9, NOW - timedelta(days=30))


def test_what_cannot_be_looked_through_is_not_claimed(world, monkeypatch):
    monkeypatch.setattr(policy_use, "PAGES_MAX", 2)
    charter, room, decide = world
    for days_ago in range(20, 10, -1):
        decide("find_po@1", "po_invoice", days_ago)
    found = unused_permissions(room, charter, NOW)
    assert (found.decisions, found.since) == (6, NOW - timedelta(days=16))


def test_nothing_is_looked_for_once_everything_was_used_or_nobody_called(world):
    charter, room, decide = world
    assert unused_permissions(room, charter, NOW).decisions == 0
    for name, tool in charter.tools.items():
        for task_type in tool.task_types:
            decide(name, task_type, 0)
    found = unused_permissions(room, charter, NOW)
    assert (found.permissions, found.decisions) == ((), 12)
