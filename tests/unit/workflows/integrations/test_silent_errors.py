# SPDX-License-Identifier: Apache-2.0
"""What spans say about tool errors reaches INT-7 of the verdict, and a second look at the same adds nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tool_spans import SpanLake, tool_span

from pilothouse.core.evidence.task import TaskResult
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLedger, example_task
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.integrations.tool_runs import look_at_tool_runs
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

GOLDEN = Path(__file__).parents[3] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"


@pytest.fixture
def installation():
    tasks, spans = [], {}
    for number in range(80):
        trace = f"{number:032x}"
        start = int((NOW - timedelta(hours=1 + number)).timestamp()) * 1_000_000_000
        silent = number < 2
        tasks.append(
            example_task(
                trace_id=trace,
                version_digest="v1",
                start_ns=start,
                end_ns=start + 1,
                tool_calls=1,
                tool_errors=1,
                result=TaskResult.COMPLETED,
                output_preview="Routed." if silent else "The invoice could not be routed.",
            )
        )
        tool = "erp.route@1" if number == 0 else "erp.find_po"
        spans[trace] = [tool_span(tool, failed=number != 1, output=json.dumps({"error": "timeout"}))]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=SpanLake(tasks, spans), ledger=MemoryLedger()
    )
    accept_file(made.ledger, GOLDEN, NOW, actor="test")
    return made


def test_silent_answers_reach_the_verdict(installation):
    assert look_at_tool_runs(installation, NOW) == 3, "two about errors, one about circles"
    assert look_at_tool_runs(installation, NOW + timedelta(minutes=10)) == 0
    assert installation.lake.windows == 2, "each look reads the window once"
    records = {one.kind: one for one in installation.ledger.evidence(AGENT)}
    assert (records["tool_error.confident"].n, records["tool_error.confident"].good) == (80, 78)
    assert records["tool_error.hard"].items == (f"{0:032x}",), "an act that is claimed although it failed"
    verdict = assess(installation, AGENT, NOW, freeze=False).verdict
    (item,) = [one for one in verdict.requirements if one.requirement == "INT-7"]
    assert item.status.value == "breached"
