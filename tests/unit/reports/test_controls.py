# SPDX-License-Identifier: Apache-2.0
"""The Controls page calls a permission unused only once some call was decided at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.control_facts import ControlFacts, ExamplesRun, ToolUse
from pilothouse.reports.controls import build_controls
from pilothouse.workflows.ground.check import load_charter

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CHARTER = Path(__file__).parents[3] / "src/pilothouse/demo/charter/charter.yaml"


def page(*, since=None, **used):
    charter = load_charter(CHARTER, today=date(2026, 11, 29))
    tools = [*charter.tools]
    facts = ControlFacts(
        pauses=(),
        rollback=None,
        version=None,
        earlier=(),
        waiting=(),
        used={tools[0]: ToolUse(**used)} if used else {},
        used_since=since,
        examples={name: ExamplesRun(allow=1, deny=1) for name in tools},
    )
    built = build_controls(charter, facts, NOW)
    rows = next(one for one in built.sections if one.anchor == "permissions").rows
    return built, [row.cells[0].mark.word for row in rows]


def test_without_a_decided_call_nothing_is_said_to_be_unused():
    built, words = page()
    assert built.mark.status is Status.NO_EVIDENCE
    assert "nothing is known" in built.sentence.plain
    assert "boundary" in built.action.label
    assert set(words) == {"Not known"}
    used = next(one for one in built.sections if one.anchor == "permissions").rows[0].cells[4:]
    assert [cell.text for cell in used] == ["unknown"] * 4, "unknown is never zero"
    denied = next(one for one in built.sections if one.anchor == "denied").empty
    assert denied.missing.startswith("No call went through the boundary")


def test_a_tool_that_others_were_called_beside_is_unused():
    built, words = page(denied=1)
    assert built.mark.word == "Unused permissions"
    assert "nobody uses" in built.action.label
    assert set(words) == {"Unused"}
    built, words = page(allowed=1)
    assert words[0] == "In use"
    assert "Unused" in words[1:]


def test_a_page_says_how_far_back_it_has_counted():
    built, _ = page(allowed=1, since=datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert "since 20 Nov 2026" in built.sentence.plain
    assert any("since 20 Nov 2026" in one.note for one in built.sections)
