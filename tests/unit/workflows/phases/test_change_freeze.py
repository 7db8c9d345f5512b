# SPDX-License-Identifier: Apache-2.0
"""Charters and the versions in traffic tell what changed when, and INT-10 of the verdict follows."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.errors import LimitExceeded
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.phases.change_freeze import look_at_changes, measure_freeze
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"
MODEL = ("acme-large-2026-04-12", "acme-large-2026-09-01")
HOST = ("erp.corp.example:443", "erp2.corp.example:443")


def world(tmp_path, *steps, versions=()):
    """An installation whose charter was changed some days ago: pairs of days and replacements."""
    tasks = [
        example_task(trace_id=f"{number:032x}", version_digest=version, start_ns=at, end_ns=at + 1)
        for number, (days, version) in enumerate(versions)
        for at in [int((NOW - timedelta(days=days)).timestamp()) * 1_000_000_000]
    ]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=MemoryLake(tasks), ledger=MemoryLedger()
    )
    text = GOLDEN.read_text(encoding="utf-8")
    # With the files that it names, and away from the tree that other tests copy at the same time.
    file = shutil.copytree(GOLDEN.parent, tmp_path / "charters") / GOLDEN.name
    for days, *changes in ((60,), *steps):
        for before, after in changes:
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")
        accept_file(made.ledger, file, NOW - timedelta(days=days), actor="test")
    return made


@pytest.mark.parametrize(
    ("steps", "versions", "passed"),
    [
        ((), (), True),
        (((5, MODEL),), (), True),
        (((5, MODEL, HOST),), (), False),
        (((9, HOST), (4, MODEL)), (), False),
        (((12, HOST), (4, MODEL)), (), True),
        (((10, MODEL), (9, HOST), (8, MODEL[::-1])), (), False),
        (((18, MODEL), (9, HOST), (8, MODEL[::-1])), (), True),
        (((9, HOST),), ((20, "v1"), (8, "v2")), True),
        (((9, HOST),), ((20, "v1"), (8, "v2"), (7, "v3")), False),
        (((40, MODEL), (9, HOST)), ((20, "v1"), (12, "v2")), False),
    ],
    ids=[
        "nothing",
        "agent",
        "both",
        "close",
        "apart",
        "close before",
        "way back",
        "explained",
        "code",
        "code after an old change",
    ],
)
def test_what_changed_decides(tmp_path, steps, versions, passed):
    made = world(tmp_path, *steps, versions=versions)
    state = measure_freeze(made, AGENT, NOW)
    assert state.evidence.passed is passed, state.evidence.detail
    assert bool(state.overlaps) is not passed


def test_it_reaches_the_verdict_and_is_written_once_a_day(tmp_path):
    made = world(tmp_path, (5, MODEL, HOST))
    assert [look_at_changes(made, NOW + timedelta(hours=hour)) for hour in (0, 1)] == [1, 0]
    later = NOW + timedelta(hours=2)
    verdict = assess(made, AGENT, later, freeze=False).verdict
    [item] = [one for one in verdict.requirements if one.requirement == "INT-10"]
    assert item.status.value == "breached"
    assert "changed together on 15 Nov 2026" in item.deciding.sentence
    state = measure_freeze(made, AGENT, NOW)
    assert (state.agent_until, state.integrations_until) == (NOW + timedelta(days=2),) * 2


def test_three_weeks_of_a_busy_agent_are_read_day_by_day(tmp_path, monkeypatch):
    made = world(tmp_path, (9, HOST), versions=((20, "v1"), (8, "v2"), (7, "v3")))
    window = made.lake.window

    def at_most_a_day(wanted):
        if wanted.to_ns - wanted.from_ns > 86_400 * 10**9:
            raise LimitExceeded(
                "the window holds more than 1000000 tasks", remedy="Ask for a shorter window."
            )
        return window(wanted)

    monkeypatch.setattr(made.lake, "window", at_most_a_day)
    assert not measure_freeze(made, AGENT, NOW).evidence.passed
