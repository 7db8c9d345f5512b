# SPDX-License-Identifier: Apache-2.0
"""A permission that was used within the month is never said to be unused, however many calls came after."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fresh_ledger import ledger_url

from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.controls import policy_use
from pilothouse.workflows.controls.policy import look_at_policies
from pilothouse.workflows.controls.policy_use import DECIDED, unused_permissions
from pilothouse.workflows.ground import newest_tasks
from pilothouse.workflows.ground.boundary_room import BoundaryRoom
from pilothouse.workflows.ground.check import load_charter
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.accept import accept_file

CHARTER = Path(__file__).parents[4] / "src/pilothouse/demo/charter/charter.yaml"
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def world(tmp_path):
    charter = load_charter(CHARTER, today=NOW.date())
    clock = FixedClock(NOW)
    with open_ledger(ledger_url(tmp_path)) as ledger:
        log = SqlAuditLog(ledger.database, load_keys(tmp_path / "keys"), clock)

        def decide(tool, task_type, days_ago, decision="allow", *, agent=charter.agent, run="r"):
            clock.advance(NOW - timedelta(days=days_ago) - clock.now())
            log.append(
                DECIDED, agent, {"tool": tool, "task_type": task_type, "decision": decision, "run": run}
            )

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


def test_a_month_of_calls_is_counted_page_by_page(world, tmp_path, monkeypatch):
    """A window of more than a million tasks is refused whole, so an agent of 40,000 a day could not be checked at all."""
    charter, room, decide = world
    lake, ledger = MemoryLake(), MemoryLedger()
    accept_file(ledger, CHARTER, NOW - timedelta(days=40), actor="test")
    at = [int((NOW - timedelta(minutes=number + 1)).timestamp()) * 10**9 for number in range(23)]
    lake.add(
        example_task(
            trace_id=f"{number:032x}",
            agent=charter.agent,
            version_digest="v2" if number % 5 else "v1",
            start_ns=start_ns,
            end_ns=start_ns + 10**9,
            tool_calls=2,
        )
        for number, start_ns in enumerate(at, start=1)
    )
    home = load_settings({}, home=tmp_path)
    site = Installation(settings=home, clock=FixedClock(NOW), lake=lake, ledger=ledger)
    room = dataclasses.replace(room, installation=site, searched_max=100)
    for name in (1, 2, 2, 3):
        decide("find_po@1", "po_invoice", 1, run=f"{name:032x}")
    whole = look_at_policies(room, charter.agent, NOW)
    monkeypatch.setattr(newest_tasks, "PAGE_TASKS", 4)
    monkeypatch.setattr(lake, "window", None)
    paged = look_at_policies(room, charter.agent, NOW)
    assert paged == whole
    version = next(one.binds.version for one in paged.evidence if one.kind == "policy.bypass")
    assert (version, paged.calls, paged.past) == ("v2", 2 * 19, 2 * 19 - 4)
    assert paged.runs_past[:2] == (f"{1:032x}", f"{3:032x}")
