# SPDX-License-Identifier: Apache-2.0
"""Verdicts are frozen when they change, once a day otherwise, and one agent's error stops no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import PilothouseError
from pilothouse.settings import load_settings
from pilothouse.testing import EXAMPLE_NOW, FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.history import freeze_changes

CHARTER = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = EXAMPLE_NOW
AGENT = "ap-invoice-triage"


@pytest.fixture
def installation(tmp_path):
    ledger = MemoryLedger()
    accept_file(ledger, CHARTER, NOW - timedelta(days=10), actor="test")
    home = load_settings({}, home=tmp_path)
    return Installation(settings=home, clock=FixedClock(), lake=MemoryLake(), ledger=ledger)


def frozen_at(installation):
    return AgentVerdict.model_validate_json(installation.ledger.latest_verdict(AGENT)).as_of


def test_the_same_verdict_is_frozen_once_and_again_after_a_day(installation):
    later = NOW + timedelta(minutes=5)
    assert [freeze_changes(installation, moment) for moment in (NOW, NOW, later)] == [1, 0, 0]
    assert frozen_at(installation) == NOW
    assert freeze_changes(installation, NOW + timedelta(days=1)) == 1


def test_a_changed_verdict_is_frozen_at_the_next_run(installation):
    freeze_changes(installation, NOW)
    start = int((NOW - timedelta(hours=1)).timestamp()) * 10**9
    task = example_task(start_ns=start, end_ns=start + 10**9, version_digest="v2", models=("another",))
    installation.lake.add([task])
    later = NOW + timedelta(minutes=5)
    assert freeze_changes(installation, later) == 1
    assert frozen_at(installation) == later


def test_an_agent_that_cannot_be_judged_is_told_of_after_the_others_have_been(installation):
    ledger = installation.ledger
    (good,) = ledger.charters()
    broken = replace(good, agent="aaa", text="{", digest="0" * 64)
    charters, found = ledger.charters, ledger.charter
    ledger.charters = lambda: (broken, *charters())
    ledger.charter = lambda agent, **more: broken if agent == "aaa" else found(agent, **more)
    with pytest.raises(PilothouseError):
        freeze_changes(installation, NOW)
    assert frozen_at(installation) == NOW
