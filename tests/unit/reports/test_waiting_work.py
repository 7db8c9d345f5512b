# SPDX-License-Identifier: Apache-2.0
"""Fleet says what waits for people and what a task costs, on its page and in a terminal, in the same words."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from evidence_made import V1, everything_holds, load_charter, without
from rich.console import Console

from pilothouse.core.action.incident import Incident, IncidentState
from pilothouse.core.evidence.review import ReviewSource
from pilothouse.core.verdict.readiness import decide
from pilothouse.ports.approvals import CallsWaiting
from pilothouse.ports.review import QueueCount
from pilothouse.reports.fleet import Governed, build_fleet
from pilothouse.reports.html import render_body
from pilothouse.reports.portfolio import build_portfolio
from pilothouse.reports.task_cost import task_cost
from pilothouse.reports.terminal_portfolio import render_portfolio
from pilothouse.reports.waiting_work import (
    NOT_READ,
    WaitingWork,
    calls_of,
    incidents_of,
    reviews_of,
    waiting_words,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHARTER = load_charter()


def incident(number, state=IncidentState.OPEN, severity="sev2", agent="a"):
    return Incident(
        number=number,
        agent=agent,
        group=f"g{number}",
        rule="completion",
        task_type=None,
        severity=severity,
        state=state,
        title=f"Completion fell, the {number}th time.",
        opened_at=NOW - timedelta(hours=number),
        level=1,
    )


def count(waiting, overdue=0, due=timedelta(hours=2)):
    return QueueCount(
        agent="a",
        source=ReviewSource.SAMPLED,
        waiting=waiting,
        overdue=overdue,
        next_due=NOW + due,
    )


def work(*incidents, reviews=(), calls=None):
    return WaitingWork(incidents=incidents, reviews=tuple(reviews), calls=calls)


def calls_waiting(waiting, minutes=4, agent="a"):
    return CallsWaiting(agent=agent, waiting=waiting, first_lapse=NOW + timedelta(minutes=minutes))


IN_HAND = IncidentState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        (NOT_READ, "unknown"),
        (work(), "none"),
        (work(incident(3)), "INC-3, sev2, in nobody's hands"),
        (work(incident(3, IN_HAND)), "INC-3, sev2, in hand"),
        (work(incident(3), incident(4, IN_HAND, "sev1")), "2 open, 1 in nobody's hands, worst sev1"),
        (work(incident(3, IN_HAND), incident(4, IN_HAND)), "2 open, each in hand, worst sev2"),
    ],
)
def test_open_incidents_of_an_agent_are_said(waits, said):
    assert incidents_of(waits).text == said


def test_one_incident_leads_to_its_page_and_several_to_the_list():
    assert incidents_of(work(incident(3))).href == "/incidents/3"
    assert incidents_of(work(incident(3), incident(4))).href == "/incidents"


@pytest.mark.parametrize(
    ("reviews", "said"),
    [
        (None, "unknown"),
        ((), "none"),
        ((count(5), count(2, due=timedelta(hours=5))), "7, first due in 2 h"),
        ((count(1_200, 3),), "1,200, 3 overdue"),
    ],
)
def test_answers_that_are_owed_are_counted_over_their_sources(reviews, said):
    assert reviews_of(WaitingWork(incidents=(), reviews=reviews), NOW).text == said


@pytest.mark.parametrize(
    ("calls", "said", "href"),
    [
        (None, "unknown", ""),
        (CallsWaiting(agent="a"), "none", ""),
        (calls_waiting(2, agent="a b"), "2, first lapses in 4 min", "/agents/a%20b/controls"),
    ],
)
def test_calls_that_wait_for_a_yes_or_no_are_said_with_their_end(calls, said, href):
    found = calls_of(work(calls=calls), NOW)
    assert (found.text, found.href or "") == (said, href)


def test_a_call_that_waits_is_asked_for_before_a_step_and_after_an_incident_in_nobodys_hands(verdicts):
    waits = work(calls=calls_waiting(1))
    later = work(calls=calls_waiting(1, minutes=9, agent="b"))
    page = build_fleet([governed("b", verdicts[1], later), governed("a", verdicts[0], waits)], (), NOW)
    assert page.action.label == "Say yes or no to the call of a that lapses in 4 min"
    assert page.action.href == "/agents/a/controls"
    assert "2 calls wait for a yes or no" in page.sentence.plain
    assert "Approvals: <a" in str(render_body(page))
    both = work(incident(7), calls=calls_waiting(1))
    assert build_fleet([governed("a", verdicts[1], both)], (), NOW).action.href == "/incidents/7"


def test_what_nobody_read_is_not_said_to_be_none():
    assert waiting_words([NOT_READ]) == ""
    assert waiting_words([work()]) == "No incident is open; no review waits."
    assert waiting_words([WaitingWork(incidents=None, reviews=())]) == "No review waits."
    both = [work(incident(1), reviews=[count(1, 1)]), work(incident(2, IN_HAND))]
    assert waiting_words(both) == "2 incidents open, 1 in nobody's hands; 1 review waits, 1 overdue."
    assert waiting_words([work(incident(2, IN_HAND))]) == (
        "1 incident open, each in somebody's hands; no review waits."
    )


@pytest.fixture(scope="module")
def verdicts():
    held = everything_holds(CHARTER, NOW)
    good = decide(CHARTER, held, NOW, phase="2", version=V1)
    return good, decide(CHARTER, without(held, "roster"), NOW, phase="1", version=V1)


def governed(name, verdict, waits):
    return Governed(agent=name, charter=CHARTER, verdict=verdict, work=waits)


def test_who_waits_for_somebody_comes_before_its_equals_and_the_incident_is_what_is_asked(verdicts):
    _good, bad = verdicts
    page = build_fleet(
        [governed("a", bad, work()), governed("b", bad, work(incident(7, agent="b"), reviews=[count(4)]))],
        (),
        NOW,
    )
    assert [row.agent.text for row in page.rows] == ["b", "a"]
    assert page.action.href == "/incidents/7"
    assert page.action.label == "Take INC-7 of b: Completion fell, the 7th time."
    assert page.sentence.plain.endswith("1 incident open, 1 in nobody's hands; 4 reviews wait.")
    body = str(render_body(page))
    assert '<a href="/incidents/7">INC-7, sev2, in nobody&#39;s hands</a>' in body
    assert '<a href="/review">4, first due in 2 h</a>' in body


def test_an_incident_in_somebodys_hands_does_not_hide_the_next_step(verdicts):
    page = build_fleet([governed("a", verdicts[1], work(incident(7, IN_HAND)))], (), NOW)
    assert not page.action.href.startswith("/incidents")


def test_a_row_says_the_word_that_the_executive_sheet_says(verdicts):
    page = build_fleet([governed("a", verdicts[0], work())], (), NOW)
    assert page.rows[0].word.text == "GO"
    assert '<a href="/agents/a/executive" aria-label="GO: the sheet of a">GO</a>' in str(render_body(page))


def test_the_cost_is_of_the_task_type_nearest_to_its_bound_and_unknown_without_a_verdict(verdicts):
    assert task_cost(None, CHARTER).text == "unknown"
    found = task_cost(verdicts[0], CHARTER)
    assert found.quantity is not None
    assert found.quantity.shown.startswith("$")
    assert found.mark.word == "Holds"
    nothing = decide(CHARTER, (), NOW, phase="1", version=V1)
    assert task_cost(nothing, CHARTER) == task_cost(None, None)


def test_page_and_terminal_say_the_same(verdicts):
    waits = work(incident(3), reviews=[count(5)], calls=calls_waiting(2))
    page = build_fleet([governed("a", verdicts[0], waits)], (), NOW).rows[0]
    portfolio = build_portfolio(
        [Governed(agent="a", charter=CHARTER, verdict=verdicts[0], clock=None, work=waits)], NOW
    )
    row = portfolio.rows[0]
    assert (row.incidents, row.calls, row.reviews, row.cost, row.word) == (
        page.incidents,
        page.calls,
        page.reviews,
        page.cost,
        page.word.text,
    )
    out = io.StringIO()
    render_portfolio(portfolio, Console(file=out, width=140), capabilities=False)
    assert "INC-3, sev2, in nobody's hands" in out.getvalue()
    assert "2, first lapses in 4 min" in out.getvalue()
    assert page.cost.quantity.shown in out.getvalue()
