# SPDX-License-Identifier: Apache-2.0
"""A charter in force that this program cannot read keeps no other agent from its records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.errors import CharterError
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.people.directory import check_directory
from pilothouse.workflows.phases.change_freeze import look_at_changes
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.residency import renew_residency
from pilothouse.workflows.verdict.stability import keep_days

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT, UNREADABLE = "ap-invoice-triage", "aged"


@pytest.fixture
def installation():
    at = int((NOW - timedelta(hours=1)).timestamp()) * 1_000_000_000
    task = example_task(start_ns=at, end_ns=at + 1, hosts=("erp.corp.example",))
    ledger = MemoryLedger()
    ledger.accept_charter(
        agent=UNREADABLE, digest="d", text="agent: [", path="c.yaml", at=NOW - timedelta(days=60)
    )
    accept_file(ledger, GOLDEN, NOW - timedelta(days=60), actor="test")
    assert [one.agent for one in ledger.charters()] == [UNREADABLE, AGENT], "the one that fails comes first"
    return Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=MemoryLake([task]), ledger=ledger
    )


@pytest.mark.parametrize("look", [look_at_changes, renew_residency, keep_days])
def test_the_others_get_theirs_and_the_fault_is_told(installation, look):
    def written():
        return (len(installation.ledger.evidence(AGENT)), len(installation.ledger.decisions(AGENT)))

    before = written()
    with pytest.raises(CharterError):
        look(installation, NOW)
    assert written() > before


def test_people_of_the_others_are_held_against_the_directory(installation):
    found = check_directory(installation, {}, NOW, actor="test")
    assert list(found) == [AGENT]
    assert "dana" in found[AGENT]
