# SPDX-License-Identifier: Apache-2.0
"""Runs that go in circles are found in telemetry, wherever their calls were made from, and reach INT-7."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tool_spans import SpanLake, tool_span

from pilothouse.core.evidence.loops import LOOP_CALLS_MIN, Step, loop_of
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.ports.lake import TaskFilter
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLedger, example_task
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations import tool_runs
from pilothouse.workflows.integrations.tool_runs import measure_loops
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
AGENT = "ap-invoice-triage"


def world(*runs):
    """One task an hour, newest first, each with these calls: tool, arguments, whether it failed."""
    tasks, spans = [], {}
    for number, calls in enumerate(runs):
        trace = f"{number:032x}"
        start = int((NOW - timedelta(hours=1 + number)).timestamp()) * 1_000_000_000
        tasks.append(
            example_task(
                trace_id=trace, version_digest="v1", start_ns=start, end_ns=start + 1, tool_calls=len(calls)
            )
        )
        spans[trace] = [
            tool_span(tool, start + at, input=args, failed=failed)
            for at, (tool, args, failed) in enumerate(calls)
        ]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=SpanLake(tasks, spans), ledger=MemoryLedger()
    )
    accept_file(made.ledger, GOLDEN, NOW, actor="test")
    return made


def looked(made, now):
    """Put on record what a look finds; return how many records are new."""
    (record,) = made.ledger.charters()
    tasks = [
        one
        for one in made.lake.window(TaskFilter(agent=AGENT, from_ns=0, to_ns=unix_ns(now)))
        if one.tool_calls
    ]
    return made.ledger.add_evidence(
        tuple(measure_loops(made, charter_of(record), Path(record.path).parent, tasks, now))
    )


def record_of(made):
    (record,) = [one for one in made.ledger.evidence(AGENT) if one.kind == "run.loops"]
    return record


SOUND = [("erp.find_po", f'{{"po": "{number}"}}', False) for number in range(6)]
EQUAL = [("erp.find_po", '{"po": "7"}', False)] * 4 + SOUND
CYCLE = [("erp.find_po", '{"po": "7"}', False), ("erp.route", "{}", False)] * 3
ERRORS = [("erp.find_po", f'{{"po": "{number}"}}', True) for number in range(6)]
SILENT = [("erp.find_po", "", False)] * 8
SHORT = [("erp.find_po", '{"po": "7"}', False)] * 3


def test_circles_of_every_kind_are_found_and_reach_the_verdict():
    made = world(CYCLE, SOUND, EQUAL, ERRORS, SILENT, SHORT)
    assert looked(made, NOW) == 1
    record = record_of(made)
    assert (record.n, record.good) == (6, 3)
    assert record.items == tuple(f"{number:032x}" for number in (0, 2, 3)), "newest first"
    assert record.detail == "the latest: the cycle erp.find_po → erp.route was repeated 3 times"
    assert f"{5:032x}" not in made.lake.opened, "three calls are no circle, so nobody need look"
    verdict = assess(made, AGENT, NOW, freeze=False).verdict
    (row,) = [one for one in verdict.requirements if one.requirement == "INT-7"]
    (item,) = [one for one in row.items if one.kind == "run.loops"]
    assert (row.status.value, item.status.value) == ("breached", "breached")


def test_looking_again_within_the_hour_adds_nothing():
    made = world(SOUND)
    assert [looked(made, NOW + timedelta(minutes=by)) for by in (0, 10, 29)] == [1, 0, 0]
    assert looked(made, NOW + timedelta(minutes=30)) == 1


def test_what_is_not_opened_is_not_counted_as_sound(monkeypatch):
    monkeypatch.setattr(tool_runs, "TASKS_MAX", 2)
    made = world(SOUND, SHORT, SOUND, SOUND, SHORT)
    looked(made, NOW)
    assert (record_of(made).n, len(made.lake.opened)) == (3, 2)


def test_the_first_circle_of_a_run_is_the_one_that_is_named():
    assert loop_of([]) is None
    assert loop_of([Step("a@1", "x")] * (LOOP_CALLS_MIN - 1)) is None
    assert loop_of([Step("a@1", "x")] * LOOP_CALLS_MIN) == "a@1 was called 4 times with the same arguments"
    polling = [Step("a@1", "x", polling=True)]
    assert loop_of(polling * 100) is None
    assert loop_of(polling * 300) == "101 tool calls in one run"
