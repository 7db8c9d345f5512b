# SPDX-License-Identifier: Apache-2.0
"""The way back is the version that passed the gate before the one that serves, never a candidate that waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pilothouse.core.evidence.evidence import Binding, Evidence, Source
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.controls.controls import version_before, versions_that_held
from pilothouse.workflows.ground.installation import Installation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"


def installation(passed, seen=()):
    tasks = [
        example_task(trace_id=f"{number:032x}", agent=AGENT, version_digest=version)
        for number, version in enumerate(seen)
    ]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=MemoryLake(tasks), ledger=MemoryLedger()
    )
    for day, (version, is_good) in enumerate(passed):
        at = NOW - timedelta(days=30 - day)
        made.ledger.add_evidence(
            [
                Evidence(
                    kind="release.verdict",
                    agent=AGENT,
                    binds=Binding(version=version),
                    window_from=at,
                    window_to=at,
                    n=1,
                    passed=is_good,
                    source=Source(command="pilothouse gate"),
                    recorded_at=at,
                )
            ]
        )
    return made


@pytest.mark.parametrize(
    ("passed", "seen", "serving", "before"),
    [
        ((("v1", True), ("v2", True), ("v3", True)), (), "v3", "v2"),
        ((("v1", True), ("v2", True), ("v3", True)), ("v1", "v2"), "v2", "v1"),
        ((("v2", True), ("v3", True)), ("v2",), "v2", None),
        ((("v1", True), ("v2", False), ("v3", True)), (), "v3", "v1"),
        ((("v1", True), ("v3", True)), ("v1", "v9"), "v9", "v1"),
        ((("v1", True),), (), None, "v1"),
        ((), ("v1",), "v1", None),
        (tuple((f"v{number}", True) for number in range(9)), (), "v1", "v0"),
    ],
    ids=[
        "newest",
        "candidate waits",
        "only a candidate",
        "one fell",
        "ungated",
        "nothing seen",
        "none",
        "long ago",
    ],
)
def test_the_way_back(passed, seen, serving, before):
    assert version_before(installation(passed, seen), AGENT, serving) == before


def test_a_page_offers_the_last_five():
    made = installation([(f"v{number}", True) for number in range(9)])
    assert versions_that_held(made, AGENT) == ("v8", "v7", "v6", "v5", "v4")
