# SPDX-License-Identifier: Apache-2.0
"""The Agent page: truth line first, one action, days without evidence stay empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import page_world as world

from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.recorded import recorded
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.stability import DayCell, DayState, StabilityClock
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.agent import build_agent
from pilothouse.reports.agent_standing import Approval, Standing, standing_facts
from pilothouse.reports.agent_traffic import AgentTraffic
from pilothouse.reports.charts import daily_chart
from pilothouse.reports.html import render_body
from pilothouse.reports.svg import band_line
from pilothouse.reports.waiting_work import NOT_READ, WaitingWork


def test_the_truth_line_counts_every_claim_once():
    page = world.make_agent_page()
    total, *rows = page.truth
    assert total.total
    assert [row.task_type for row in rows] == list(world.charter().task_types)
    for name in ("said_done", "agrees", "contradicts", "cannot_tell"):
        assert getattr(total, name).value == sum(getattr(row, name).value for row in rows)
    assert total.said_done.value == total.agrees.value + total.contradicts.value + total.cannot_tell.value
    assert total.line.startswith(f"said done {total.said_done.shown} · system of record agrees ")


def test_the_truth_line_stands_right_below_the_sentence():
    body = str(render_body(world.make_agent_page()))
    sentence, truth = body.index('class="sentence"'), body.index('aria-labelledby="truth"')
    between = body[sentence:truth]
    assert "<table" not in between
    assert "<h2" not in between


def test_an_agent_that_never_claimed_anything_says_so_and_what_to_type():
    page = world.make_agent_page(tasks=(), outcomes={}, evidence=())
    assert page.truth == ()
    assert page.truth_empty.command == f"pilothouse traces --agent {world.AGENT}"
    assert page.chart is None
    assert "nothing to hold against" in str(render_body(page))


def test_the_one_action_belongs_to_the_deciding_requirement():
    page = world.make_agent_page()
    assert page.action.command.startswith("pilothouse ")
    assert page.action.href.endswith(f"/readiness#{page.sentence.href.partition('#')[2]}")


def test_changes_are_numbered_as_in_the_chart():
    page = world.make_agent_page()
    marks = {mark.text: mark.number for mark in page.chart.changes}
    assert marks
    assert {row.what: row.number for row in page.changes if row.number} == marks
    assert any(row.what == "Model gpt-5-mini-2026-02 first seen" for row in page.changes)


def test_contradicted_claims_are_listed_newest_first_with_critical_ones_before_all():
    tasks = world.make_tasks()
    outcomes = world.make_outcomes(tasks)
    wrong = [one for one in outcomes.values() if one.status is OutcomeStatus.CONTRADICTED]
    oldest = min(wrong, key=lambda one: one.task_start_ns)
    outcomes[oldest.trace_id] = replace(oldest, critical="paid_twice")
    page = world.make_agent_page(tasks, outcomes)
    assert page.worst[0].found.startswith("critical: paid_twice")
    times = [row.at.at for row in page.worst[1:]]
    assert times == sorted(times, reverse=True)


def test_versions_carry_their_own_agreement_and_name_the_judged_one():
    versions = world.make_agent_page().versions
    assert [row.judged for row in versions] == [True, False]
    assert all(row.agreement.shown_interval for row in versions)


def test_what_a_stand_in_answered_is_of_no_version_and_is_counted_apart():
    """Right answers of another model stood as the agreement of the pinned version."""
    tasks = world.make_tasks()
    known = world.make_outcomes(tasks)
    stand_in = world.charter().model.fallback[0].model
    plain = world.make_agent_page(tasks, known)
    assert (plain.stood_in, sum(row.tasks.value for row in plain.versions)) == ("", len(tasks))
    swapped = tuple(
        replace(one, models=(stand_in,)) if one.trace_id in known and number % 3 == 0 else one
        for number, one in enumerate(tasks)
    )
    left_out = sum(one.models == (stand_in,) for one in swapped)
    page = world.make_agent_page(swapped, known)
    assert sum(row.tasks.value for row in page.versions) == len(tasks) - left_out
    assert page.versions[0].agreement.n < plain.versions[0].agreement.n
    assert page.stood_in.startswith(f"{left_out:,} more tasks of the {len(tasks):,}")
    assert page.stood_in in str(render_body(page))


def test_days_without_an_answer_are_gaps_in_the_line_and_words_in_the_table():
    tasks = world.make_tasks()
    outcomes = list(world.make_outcomes(tasks).values())
    gap = (world.NOW - timedelta(days=6)).date()
    kept = [
        one for one in outcomes if one.task_start_ns // 86_400_000_000_000 != (gap - date(1970, 1, 1)).days
    ]
    chart = daily_chart(kept, world.NOW - timedelta(days=30), world.NOW, bound=0.98)
    empty = [point for point in chart.points if point.y is None]
    assert [point.day for point in empty] == [gap]
    assert empty[0].shown == "no evidence"
    assert band_line(chart).count("<polyline") == 2


def test_a_value_that_rounds_to_its_bound_gets_more_digits():
    base = next(iter(world.make_outcomes(world.make_tasks()).values()))
    start = world.ns(world.NOW - timedelta(hours=30))
    made = [
        replace(
            base,
            trace_id=f"{n:032x}",
            task_start_ns=start,
            status=OutcomeStatus.CONTRADICTED if n < 203 else OutcomeStatus.VERIFIED,
        )
        for n in range(10_000)
    ]
    chart = daily_chart(made, world.NOW - timedelta(days=3), world.NOW, bound=0.98)
    assert [point.shown for point in chart.points if point.n] == ["97.97 %"]


def test_a_task_type_that_no_charter_knows_is_shown_and_escaped():
    traffic = AgentTraffic(
        tasks=(), outcomes={}, window_from=world.NOW - timedelta(days=30), window_to=world.NOW
    )
    truth = (
        TruthCount(
            task_type="<b>odd</b>",
            said_done=2,
            agrees=1,
            contradicts=1,
            unverifiable=0,
            pending=0,
            not_asked=0,
        ),
    )
    page = build_agent(world.make_verdict(), world.charter(), world.in_force(), truth, traffic)
    body = str(render_body(page))
    assert "<b>odd" not in body
    assert "&lt;b&gt;odd" in body


def facts_of(*, evidence=(), **beside):
    standing = Standing(**{"work": NOT_READ, "approval": None, "clock": None, "unsigned": (), **beside})
    facts = standing_facts(world.make_verdict(evidence), world.charter(), standing, world.NOW)
    return {one.name: one for one in facts}


def test_what_waits_for_people_stands_on_the_page_of_their_agent():
    """The page of the owner named neither an open incident nor a phase that waits for a yes."""
    quiet = WaitingWork(incidents=(), reviews=(), calls=None)
    asked = Approval(target="1", people=("dana", "vp"))
    found = facts_of(work=quiet, approval=asked, unsigned=("dana",))
    names = [world.charter().people[one].name for one in asked.people]
    assert found["Approval"].link.text.replace("\u00a0", " ") == f"phase 1 waits for {', '.join(names)}"
    assert found["Approval"].link.href == f"/agents/{world.AGENT}/rollout"
    assert "Incidents" not in found
    assert found["Signatures"].link.text.replace("\u00a0", " ") == f"1 waits for {names[0]}"
    assert found["Signatures"].link.href == f"/agents/{world.AGENT}/sign"


def test_what_nobody_looked_at_is_unknown_and_not_nothing():
    assert facts_of(work=NOT_READ)["Incidents"].link.text == "unknown"


def test_the_clock_says_what_reset_it_last():
    reset = DayCell(day=date(2026, 11, 9), state=DayState.RESETS, text=f"version {'ab' * 32} served")
    clock = StabilityClock(
        stable_days=3, target_days=90, strip=(reset,), resets=(reset,), paused_days=0, forecast=None
    )
    stable = facts_of(clock=clock)["Stable days"]
    assert stable.link.text == "day 3 of 90"
    assert stable.small == "last reset on 9 Nov 2026: version abababa served"


def delay(rule, days, *, passed=True):
    return recorded(
        "alert.delay",
        world.charter(),
        world.NOW,
        command="watch",
        scope=Scope(part=rule),
        since=world.NOW - timedelta(days=2),
        until=world.NOW - timedelta(days=1),
        n=100,
        passed=passed,
        detail=f"rule {rule}: a fall is noticed after {days} days; promised within 21 days",
    )


def test_how_soon_a_fall_is_noticed_is_said_of_the_worst_rule_and_else_of_one_on_quality():
    kept = [delay("completion", 3), delay("quality-drop", 12.5), delay("lying", 2)]
    noticed = facts_of(evidence=kept)["A fall is noticed"]
    assert noticed.mark.status is Status.HOLDS
    assert noticed.link.text == "in time by 3 of 3 alert rules"
    assert noticed.link.href == f"/agents/{world.AGENT}/watch"
    assert "a fall is noticed after 12.5 days" in noticed.small
    late = facts_of(evidence=[*kept[1:], delay("completion", 40, passed=False)])["A fall is noticed"]
    assert (late.mark.status, late.link.text) == (Status.BREACHED, "in time by 2 of 3 alert rules")
    assert "a fall is noticed after 40 days" in late.small
    unknown = facts_of()["A fall is noticed"]
    assert (unknown.mark.status, unknown.link.text) == (
        Status.NO_EVIDENCE,
        "in time by 0 of 3 alert rules",
    )


def test_the_model_says_until_when_it_is_served():
    pin = world.charter().model.pin
    assert facts_of()["Model"].link.text == pin.model
    assert str(pin.retires_on.year) in facts_of()["Model"].small


def test_the_page_of_an_agent_shows_them_and_a_page_that_nobody_looked_for_has_none():
    assert world.make_agent_page().standing == ()
    assert "What waits, and how it stands" not in str(render_body(world.make_agent_page()))
