# SPDX-License-Identifier: Apache-2.0
"""Pictures say in words what they draw, keep their places inside, and escape what others wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree as ET

import page_world as world
import pytest

from pilothouse.core.verdict.stability import DayCell, DayState, StabilityClock
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports import svg
from pilothouse.reports.agent import cost_trend
from pilothouse.reports.fleet import VALUE, Governed, build_fleet
from pilothouse.reports.html import render_body
from pilothouse.reports.pictures import SPARK_DAYS, STRIP_DAYS, forest, spark_of, strip, timeline, trend

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>&\"'"
DRAWN = {
    "forest": forest(
        [(HOSTILE, -8.4, -6.0, -3.1), ("b", -1.0, 1.0, 3.0), ("all", -2.0, -0.5, 1.0)],
        margin=-5.0,
        margin_text="-5 points",
    ),
    "strip": strip(["counted", "paused", "reset", "holds", "at_risk", "breached", "no_evidence"], "Days"),
    "timeline": timeline([(NOON, HOSTILE, True), (NOON + timedelta(minutes=4), "closed", False)], "Events"),
    "trend": trend(
        [("1 Nov", 0.04), ("2 Nov", None), ("3 Nov", 0.06)],
        title="Cost per task",
        in_words="${:.2f} a task".format,
        bound=0.05,
        bound_text="committed $0.05",
        words="From $0.04 to $0.06.",
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_picture_is_xml_with_a_title_and_words_and_no_style(name):
    text = svg.draw(DRAWN[name])
    tree = ET.fromstring(text)
    assert tree.attrib["role"] == "img"
    assert [tree.find(tag).text for tag in ("title", "desc")] == [DRAWN[name].title, DRAWN[name].description]
    assert not re.search(r"style=|<script", text)


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_drawn_outside_of_the_panel(name):
    places = [float(one) for one in re.findall(r'(?:x|cx|x1|x2|y)="(-?[\d.]+)%"', svg.draw(DRAWN[name]))]
    assert places
    assert all(0 <= one <= 100.001 for one in places)


def test_a_forest_puts_regressions_on_top():
    assert [row.label for row in DRAWN["forest"].rows] == [HOSTILE, "all", "b"]
    worst = DRAWN["forest"].rows[0]
    assert worst.low < worst.value < DRAWN["forest"].margin < worst.high < DRAWN["forest"].zero
    assert "2 of 3 are below zero" in DRAWN["forest"].description
    assert forest([], margin=None, margin_text="") is None


@pytest.mark.parametrize("states", [("counted", "paused", "reset"), tuple(Status)])
def test_each_state_of_a_strip_has_a_shape_of_its_own(states):
    drawn = {state: svg.draw(strip([state], "Days")) for state in states}
    shapes = {re.sub(r'class="[^"]*"', "", text.partition("</desc>")[2]) for text in drawn.values()}
    assert len(shapes) == len(drawn)


def test_few_days_of_a_strip_are_not_stretched_over_the_panel():
    assert DRAWN["strip"].places == STRIP_DAYS
    assert len(strip(["counted"] * 120, "Days").states) == STRIP_DAYS


def test_one_event_is_no_timeline_and_no_day_no_trend():
    assert timeline([(NOON, "a", False)], "Events") is None
    assert timeline([(NOON, "a", False), (NOON, "b", False)], "Events") is None
    assert trend([("1 Nov", None)], title="", in_words=str, bound=None, bound_text="", words="") is None


def test_a_sparkline_leaves_a_gap_where_nothing_was_measured():
    text = svg.sparkline([0.1, 0.2, None, 0.3], bound=0.5)
    assert text.count("<polyline") == 1
    assert text.count("<circle") == 1
    assert 'aria-hidden="true"' in text


def test_a_day_with_an_unpriced_call_is_unknown_and_draws_no_bar():
    tasks = [task for task in world.make_tasks() if task.start_ns > world.ns(world.NOW - timedelta(days=3))]
    whole = cost_trend(tasks)
    assert {one.shown[:7] for one in whole.days} == {"$0.0041"}
    first = min(tasks, key=lambda task: task.start_ns)
    unpriced = [replace(task, cost_usd=None) if task is first else task for task in tasks]
    found = cost_trend(unpriced)
    assert (found.picture.bars[0], found.days[0].shown) == (None, "unknown")
    assert "1 day with calls that have no price" in found.caption
    assert f"{len(tasks):,} tasks in all" in found.caption
    assert whole.picture.most_text.endswith(" a task"), "the axis has a number and its unit"
    assert whole.picture.most_text in svg.draw(whole.picture)
    assert cost_trend([]) is None
    assert cost_trend([replace(first, cost_usd=None)]) is None


def test_a_row_says_in_words_where_its_line_begins_and_ends():
    page = world.make_agent_page()
    lines = [row.trend for row in page.task_types]
    assert all(line is not None and len(line.places) <= SPARK_DAYS for line in lines)
    assert all(re.fullmatch(r"\d+ % agreed on .+, \d+ % on .+", line.words) for line in lines)
    body = str(render_body(page))
    assert body.count('class="spark"') == len(lines)
    assert lines[0].words in body
    assert spark_of(None) is None


def test_the_fleet_draws_the_days_of_the_clock_and_says_them():
    cells = tuple(
        DayCell(day=date(2026, 11, 1) + timedelta(days=number), state=state, text="")
        for number, state in enumerate((DayState.RESETS, DayState.PAUSES, DayState.COUNTS, DayState.COUNTS))
    )
    clock = StabilityClock(
        stable_days=2, target_days=90, strip=cells, resets=cells[:1], paused_days=0, forecast=None
    )
    verdict = world.make_verdict()
    governed = Governed(agent=world.AGENT, charter=world.charter(), verdict=verdict, clock=clock)
    row = build_fleet([governed], [], NOON).rows[0]
    assert row.stable.text == "day 2 of 90"
    assert row.days.description == "4 days: 2 counted, 1 paused, 1 reset."
    value = next(one for one in verdict.requirements if one.requirement == VALUE)
    assert (row.value.status, row.value_text) == (value.status, value.deciding.sentence)
    body = str(render_body(build_fleet([governed], [], NOON)))
    assert row.days.description in body
    assert f'href="/agents/{world.AGENT}/rollout"' in body


def test_a_long_timeline_draws_its_beginning_and_its_end_and_says_what_it_leaves_out():
    events = [(NOON + timedelta(minutes=number), f"event {number}.", False) for number in range(1, 101)]
    drawn = timeline(events, "Events")
    assert [stop.number for stop in drawn.stops] == ["1", "72–77", "78–83", "84–89", "90–95", "96–100"]
    assert (drawn.stops[0].at, drawn.stops[-1].at) == (0.0, 1.0)
    assert drawn.ends.endswith("13:40 UTC")
    assert drawn.description == (
        "100 events from 20 Nov 2026, 12:01 UTC to 20 Nov 2026, 13:40 UTC, of which 2 to 71 are not drawn; "
        "first event 1; last event 100."
    )


def test_what_happened_close_together_is_one_stop_so_that_no_number_stands_upon_another():
    minutes = (0, 1, 2, 500, 990, 1000)
    drawn = timeline([(NOON + timedelta(minutes=one), "it", one == 1) for one in minutes], "Events")
    assert [(one.number, one.is_loud) for one in drawn.stops] == [("1–3", True), ("4", False), ("5–6", False)]
