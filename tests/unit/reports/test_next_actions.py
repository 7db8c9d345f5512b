# SPDX-License-Identifier: Apache-2.0
"""Each page asks for one thing: what its own sentence calls for, and nothing while nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

import page_site
import page_world as world

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.verdict import Status
from pilothouse.ports.lake import AgentSeen, TaskFilter, TaskPage, TraceView
from pilothouse.reports.fleet import Governed, build_fleet
from pilothouse.reports.health import build_health
from pilothouse.reports.html import render_body
from pilothouse.reports.next_step import next_step
from pilothouse.reports.tasks import build_tasks
from pilothouse.reports.trace import build_trace

TASKS = world.make_tasks()
OUTCOMES = world.make_outcomes(TASKS)
GOOD, BAD = (
    next(task for task in TASKS if task.trace_id in OUTCOMES and OUTCOMES[task.trace_id].status is status)
    for status in (OutcomeStatus.VERIFIED, OutcomeStatus.CONTRADICTED)
)


def fleet(status, *, seen=()):
    verdict = world.make_verdict().model_copy(update={"agent": "a", "status": status, "reason": None})
    governed = Governed(agent="a", charter=world.charter(), verdict=verdict)
    return build_fleet([governed], seen, world.NOW)


def tasks(*chosen, **typed):
    wanted = TaskFilter(agent=world.AGENT, **typed)
    return build_tasks(
        world.AGENT, TaskPage(tasks=chosen, next_cursor=None), OUTCOMES, world.NOW, wanted=wanted
    )


def trace(task, outcome, *spans, is_recorded=None):
    view = TraceView(task=task, spans=spans, spans_total=len(spans))
    return build_trace(world.AGENT, task.trace_id, view, outcome, world.NOW, is_recorded=is_recorded)


def test_the_fleet_asks_for_the_next_step_of_its_worst_agent():
    page = fleet(Status.BREACHED)
    assert page.action.label.startswith("a: ")
    assert page.action.command.startswith("pilothouse ")
    assert page.action.href.startswith("/agents/a/readiness#")
    assert str(render_body(page)).index(">Next<") < str(render_body(page)).index("<table")


def test_of_many_parts_that_one_command_settles_the_deciding_one_is_named():
    """The page said that DATA-1 is breached, and asked to settle INT-7 "and 19 more parts"."""
    verdict, charter = world.make_verdict(), world.charter()
    step = next(
        one for one in plan_steps(verdict, charter).steps if len({item.split()[0] for item in one.items}) > 1
    )
    first = step.items[0].split()[0]
    other = next(item.split()[0] for item in step.items if item.split()[0] != first)
    label = next_step(verdict.model_copy(update={"deciding": other}), charter).label
    assert f"({other}" in label


def test_the_fleet_asks_for_nothing_while_every_agent_holds():
    assert fleet(Status.HOLDS).action is None


def test_the_fleet_asks_for_a_charter_of_an_agent_without_one_and_on_the_first_run():
    stray = AgentSeen(agent="stray", tasks=3, first_ns=0, last_ns=world.ns(world.NOW), versions=())
    page = fleet(Status.HOLDS, seen=[stray])
    assert page.action.label.startswith("stray: ")
    assert page.action.command.startswith("pilothouse init ")
    assert build_fleet([], [], world.NOW).action.command.startswith("pilothouse init ")


def test_the_tasks_lead_to_the_newest_contradicted_claim_then_to_the_newest_failure():
    failed = next(task for task in TASKS if task.result == "failed")
    assert tasks(GOOD, failed, BAD).action.href.endswith(BAD.trace_id)
    assert tasks(GOOD, failed).action.href.endswith(failed.trace_id)
    assert tasks(GOOD).action is None


def test_no_task_asks_for_a_wider_query_or_for_traces():
    assert tasks(text="nobody").action.href == f"/agents/{world.AGENT}/tasks"
    assert tasks().action.command.startswith("pilothouse run ")


def test_a_trace_leads_to_its_failed_span_to_its_replay_or_to_a_verifier():
    outcome = OUTCOMES[BAD.trace_id]
    asked = {known: trace(BAD, outcome, is_recorded=known).action for known in (True, False, None)}
    assert asked[True].command == f"pilothouse replay {BAD.trace_id}"
    assert asked[True].href == f"/agents/{world.AGENT}/runs/{BAD.trace_id}"
    assert "replay " not in asked[False].command, "a replay of what nobody recorded is refused"
    assert asked[None].command == "pilothouse replay --list"
    failed = replace(world.make_span("", 1), status="error")
    page = trace(BAD, outcome, world.make_span("", 0), failed)
    assert page.action.href == f"#s-{failed.span_id}"
    assert f'id="s-{failed.span_id}"' in str(render_body(page))
    assert trace(BAD, None).action.command.startswith("pilothouse check")
    assert trace(GOOD, OUTCOMES[GOOD.trace_id]).action is None


def test_health_asks_for_a_look_only_while_something_is_wrong():
    well = build_health(page_site.HEALTH, (), (), world.NOW)
    assert (well.mark.status, well.action) == (Status.HOLDS, None)
    assert build_health(page_site.HEALTH, page_site.WORK, (), world.NOW).action.command == "pilothouse doctor"
    assert build_health(None, (), (), world.NOW).action.command == "pilothouse up"
