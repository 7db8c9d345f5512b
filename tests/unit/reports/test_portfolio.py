# SPDX-License-Identifier: Apache-2.0
"""The portfolio shows every agent by its worst item, and adds nothing up."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from evidence_made import V1, everything_holds, load_charter, without
from rich.console import Console

from pilothouse.core.verdict.framework import FRAMEWORK
from pilothouse.core.verdict.readiness import decide
from pilothouse.core.verdict.stability import StabilityClock
from pilothouse.reports.fleet import Governed
from pilothouse.reports.portfolio import CAPABILITIES, build_portfolio
from pilothouse.reports.terminal_portfolio import AGENT_COLUMNS, render_portfolio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()
CLOCK = StabilityClock(stable_days=41, target_days=90, strip=(), resets=(), paused_days=0, forecast=None)


@pytest.fixture(scope="module")
def page():
    held = everything_holds(CHARTER, NOW)
    good = decide(CHARTER, held, NOW, phase="2", version=V1)
    bad = decide(CHARTER, without(held, "roster", "tool.faults"), NOW, phase="1", version=V1)
    return build_portfolio(
        [
            Governed(agent="good", charter=CHARTER, verdict=good, clock=CLOCK),
            Governed(agent="bad", charter=CHARTER, verdict=bad, clock=CLOCK),
            Governed(
                agent="broken", charter=None, verdict=None, clock=None, problem="the charter cannot be read"
            ),
        ],
        NOW,
    )


def test_the_worst_comes_first_and_an_unreadable_agent_says_why(page):
    assert [row.agent.text for row in page.rows] == ["bad", "broken", "good"]
    broken = page.rows[1]
    assert (broken.worst, broken.capabilities, broken.stable) == (
        "the charter cannot be read",
        (),
        "open question",
    )
    assert page.sentence.plain.startswith("3 agents: ")


def test_a_row_has_stage_owner_stable_day_and_value(page):
    good = page.rows[-1]
    assert (good.stage, good.owner, good.stable) == ("Phase 2", "D. Ruiz", "day 41 of 90")
    assert good.value_text


def test_capabilities_are_decided_by_requirements(page):
    cells = {cell.name: cell for cell in page.rows[0].capabilities}
    assert (cells["operations"].level, cells["operations"].decided_by) == ("pilot-only", "OWN-7")
    assert {cell.level for cell in page.rows[-1].capabilities} == {"production-scale"}
    assert {name for _, _, ids in CAPABILITIES for name in ids} <= {one.id for one in FRAMEWORK}


def test_the_terminal_shows_all_of_it(page):
    console = Console(width=160, record=True, file=io.StringIO())
    render_portfolio(page, console, capabilities=True)
    text = console.export_text()
    for said in ("day 41 of 90", "pilot-only", "production-scale", "nobody yet", "OWN-7"):
        assert said in text


@pytest.mark.parametrize("width", [40, 60, 80, 89, 90, 100])
def test_a_narrow_terminal_leaves_names_and_words_whole(page, width):
    console = Console(width=width, record=True, file=io.StringIO())
    render_portfolio(page, console, capabilities=False)
    text = console.export_text()
    words = set(text.split())
    for row in page.rows:
        assert len(row.agent.text) <= AGENT_COLUMNS
        assert {row.agent.text, *row.mark.word.split(), *row.value.word.split()} <= words


def test_an_empty_portfolio_says_how_to_begin():
    console = Console(width=100, record=True, file=io.StringIO())
    render_portfolio(build_portfolio([], NOW), console, capabilities=False)
    assert "pilothouse init" in console.export_text()
