# SPDX-License-Identifier: Apache-2.0
"""What spans say about tool errors reaches INT-7 of the verdict, and a second look at the same adds nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pilothouse.core.evidence.task import TaskResult
from pilothouse.ports.lake import SpanRecord, TraceView
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLake, MemoryLedger, example_task
from pilothouse.workflows.accept import accept_file
from pilothouse.workflows.assess import assess
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.silent_errors import look_at_tool_errors

GOLDEN = Path(__file__).parents[2] / "golden" / "charters" / "ap-invoice-triage.yaml"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AGENT = "ap-invoice-triage"


def span(tool, *, failed, output="{}", at_ns=1):
    empty = dict.fromkeys(SpanRecord.__dataclass_fields__)
    texts = dict.fromkeys(("status_message", "convention", "input", "attributes", "events"), "")
    return SpanRecord(
        **{
            **empty,
            **texts,
            "span_id": "1" * 16,
            "record": "span",
            "name": f"execute_tool {tool}",
            "operation": "execute_tool",
            "tool_name": tool,
            "start_ns": at_ns,
            "end_ns": at_ns,
            "status": "error" if failed else "ok",
            "output": output,
            "cut_bytes": 0,
        }
    )


class Lake(MemoryLake):
    def __init__(self, tasks, spans):
        super().__init__(tasks)
        self.spans = spans

    def trace(self, trace_id, *, limit=2_000):
        found = tuple(self.spans[trace_id])
        return TraceView(task=None, spans=found, spans_total=len(found))


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
        spans[trace] = [span(tool, failed=number != 1, output=json.dumps({"error": "timeout"}))]
    made = Installation(
        settings=load_settings({}), clock=FixedClock(NOW), lake=Lake(tasks, spans), ledger=MemoryLedger()
    )
    accept_file(made.ledger, GOLDEN, NOW, actor="test")
    return made


def test_silent_answers_reach_the_verdict(installation):
    assert look_at_tool_errors(installation, NOW) == 2
    assert look_at_tool_errors(installation, NOW + timedelta(minutes=10)) == 0
    records = {one.kind: one for one in installation.ledger.evidence(AGENT)}
    assert (records["tool_error.confident"].n, records["tool_error.confident"].good) == (80, 78)
    assert records["tool_error.hard"].items == (f"{0:032x}",), "an act that is claimed although it failed"
    verdict = assess(installation, AGENT, NOW, freeze=False).verdict
    (item,) = [one for one in verdict.requirements if one.requirement == "INT-7"]
    assert item.status.value == "breached"
