# SPDX-License-Identifier: Apache-2.0
"""Fleet lists the worst first and never shows silence as health; Tasks never shows unknown as zero."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import page_world as world
import pytest
from pydantic import ValidationError

from pilothouse.core.evidence.task import CostState, TokenCount
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.lake import AgentSeen, TaskCursor, TaskFilter, TaskPage
from pilothouse.reports.fleet import AGENTS_MAX, Governed, build_fleet
from pilothouse.reports.html import render_body
from pilothouse.reports.tasks import build_tasks, cost_quantity, task_row
from pilothouse.reports.view_models import Quantity


def governed(name, status):
    verdict = world.make_verdict().model_copy(update={"agent": name, "status": status, "reason": None})
    return Governed(agent=name, charter=world.charter(), verdict=verdict)


def seen(name, tasks=3):
    return AgentSeen(agent=name, tasks=tasks, first_ns=0, last_ns=world.ns(world.NOW), versions=())


def test_the_worst_agent_comes_first_and_the_sentence_counts():
    page = build_fleet(
        [governed("a", Status.HOLDS), governed("b", Status.BREACHED), governed("c", Status.NO_EVIDENCE)],
        [seen("d")],
        world.NOW,
    )
    assert [row.agent.text for row in page.rows] == ["b", "c", "d", "a"]
    assert page.sentence.plain == "1 of 4 agents does not hold; 2 have too little evidence."
    assert page.title.startswith("Breached")


def test_an_agent_without_a_charter_is_no_evidence_and_gets_a_command():
    row = build_fleet([], [seen("stray")], world.NOW).rows[0]
    assert row.mark.spoken == "No evidence (missing)"
    assert row.command.startswith("pilothouse init")


def test_an_agent_that_cannot_be_judged_is_no_evidence_and_says_why():
    page = build_fleet(
        [Governed(agent="a", charter=None, verdict=None, problem="the lake does not answer")], [], world.NOW
    )
    assert page.rows[0].mark.spoken == "No evidence (stale)"
    assert page.rows[0].sentence == "the lake does not answer"


def test_an_agent_that_may_go_on_by_a_waiver_is_not_said_to_lack_evidence():
    waived = governed("b", Status.NO_EVIDENCE)
    waived = replace(waived, verdict=waived.verdict.model_copy(update={"word": "GO WITH CONDITIONS"}))
    page = build_fleet([governed("a", Status.HOLDS), waived], [], world.NOW)
    assert page.sentence.plain == "Of 2 agents, 1 may go on with conditions."
    assert (page.mark.status, page.mark.word) == (Status.AT_RISK, "With conditions")
    assert page.rows[0].mark.status is Status.NO_EVIDENCE
    breached = replace(waived, verdict=waived.verdict.model_copy(update={"status": Status.BREACHED}))
    assert build_fleet([breached], [], world.NOW).mark.status is Status.BREACHED


def test_agents_that_all_hold_are_said_to_hold():
    assert (
        build_fleet([governed("a", Status.HOLDS), governed("b", Status.HOLDS)], [], world.NOW).sentence.plain
        == "2 agents: every one holds."
    )


def test_the_first_run_is_a_list_of_commands():
    page = build_fleet([], [], world.NOW)
    assert [step.command.split()[1] for step in page.empty] == ["demo", "init", "run", "import"]
    assert "pilothouse demo" in str(render_body(page))


def test_more_agents_than_fit_are_said():
    page = build_fleet([], [seen(f"agent {n}") for n in range(AGENTS_MAX + 5)], world.NOW)
    assert len(page.rows) == AGENTS_MAX
    assert page.notices == ("200 of 205 agents are shown, worst first.",)


def tasks_page(tasks, **options):
    found = TaskPage(tasks=tasks, next_cursor=options.pop("cursor", None))
    wanted = options.pop("wanted", TaskFilter(agent=world.AGENT))
    return build_tasks(world.AGENT, found, options.pop("outcomes", {}), world.NOW, wanted=wanted, **options)


def test_the_cursor_keeps_the_query():
    page = tasks_page(
        world.make_tasks()[:2],
        cursor=TaskCursor(start_ns=7, trace_id="0" * 32),
        wanted=TaskFilter(agent=world.AGENT, text="a&b", result="failed"),
        first=False,
    )
    assert page.older.href.endswith(f"/tasks?result=failed&text=a%26b&before=7-{'0' * 32}")
    assert page.newest.href.endswith("/tasks?result=failed&text=a%26b")


def test_no_task_says_what_to_type_and_no_match_says_only_that():
    assert tasks_page(()).empty.command.startswith("pilothouse run")
    assert tasks_page((), wanted=TaskFilter(agent=world.AGENT, text="x")).empty.missing == "No task matches."


def test_unknown_cost_tokens_and_duration_are_never_zero():
    task = replace(
        world.make_tasks()[0],
        cost_usd=None,
        cost_state=CostState.UNKNOWN,
        tokens=TokenCount(),
        calls_without_usage=2,
        duration_ns=None,
    )
    row = task_row(task, None, world.NOW)
    assert [row.cost.shown, row.tokens.shown, row.took.shown] == ["unknown"] * 3
    assert row.outcome.word == "Not checked"


@pytest.mark.parametrize(
    ("cost", "known", "state", "shown"),
    [
        (Decimal("0.00123"), Decimal("0.00123"), CostState.KNOWN, "$0.00123"),
        (None, Decimal("0.5"), CostState.PARTIAL, "at least $0.5"),
        (None, Decimal(0), CostState.UNKNOWN, "unknown"),
        (None, Decimal(0), CostState.NONE, "no model call"),
    ],
)
def test_cost_is_shown_by_what_is_known(cost, known, state, shown):
    assert cost_quantity(cost, known, state).shown == shown


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_when_a_view_model_is_made(bad):
    with pytest.raises(ValidationError):
        Quantity(value=bad, unit="rate", shown="nan")


def test_hostile_previews_are_one_visible_line():
    row = task_row(replace(world.make_tasks()[0], input_preview=world.HOSTILE + "\nsecond"), None, world.NOW)
    assert "\n" not in row.text
    assert "⟨U+001B⟩" in row.text
