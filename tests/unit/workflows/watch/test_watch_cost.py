# SPDX-License-Identifier: Apache-2.0
"""Costs are compared by hours where there are many tasks, by days where there are few; an unknown cost is not watched."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.statistics.cost import CostLine
from pilothouse.core.statistics.cost_windows import CostWindow
from pilothouse.core.verdict.numbers import significant
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.watch.cost import HOURLY_DELAY_DAYS, cost_document, look_at_cost

EXAMPLE = Path(__file__).parents[3] / "golden/charters/ap-invoice-triage.yaml"
START = date(2026, 6, 1)


@pytest.fixture(scope="module")
def charter():
    return Charter.model_validate(read_charter_file(EXAMPLE).value)


class Days:
    """Counted days, as far as the monitor of cost asks for them."""

    def __init__(self, charter):
        self.agent, self.kept = charter.agent, []
        self.random = np.random.default_rng(5)

    def add(self, tasks, *, usd=0.02, hours=8, unpriced=0, sigma=1.0, old=False, task_type="po_invoice"):
        """One more day of tasks over its first hours; a second task type belongs to the day before."""
        day = START + timedelta(days=len({one.day for one in self.kept}))
        if task_type != "po_invoice":
            day -= timedelta(days=1)
        document = {"usd": [], "priced": [], "unpriced": unpriced, "log_usd": 0.0, "paid": 0}
        if tasks:
            costs = np.exp(self.random.normal(math.log(usd), sigma, tasks)) if usd else np.zeros(tasks)
            parts = [costs[hour::hours] for hour in range(hours)] + [costs[:0]] * (24 - hours)
            document |= {"usd": [float(one.sum()) for one in parts], "priced": [len(one) for one in parts]}
            if usd:
                document |= {"log_usd": float(np.log(costs).sum()), "paid": tasks}
        if old:
            del document["log_usd"], document["paid"]
        at = datetime(2026, 12, 1, tzinfo=UTC)
        self.kept.append(
            WatchReading(
                agent=self.agent, task_type=task_type, detector="traffic", day=day, at=at, layer="quiet", settled=True,
                document=json.dumps(document),
            )
        )  # fmt: skip
        return day

    def readings(self, agent, *, since, detector):
        assert (agent, detector) == (self.agent, "traffic")
        return [one for one in self.kept if one.day >= since]


@pytest.fixture
def days(charter):
    return Days(charter)


def weeks(days, count, tasks=12, **fields):
    for number in range(7 * count):
        last = days.add(tasks if number % 7 < 5 else 0, **fields)
    return last


def test_no_cost_at_all_is_no_look(days, charter):
    assert look_at_cost(days, charter, START) is None
    assert look_at_cost(days, charter, days.add(30, usd=0)).line.reason.startswith("only 0 of 14 windows")


def test_few_tasks_are_compared_by_days_and_learn_until_fourteen_windows_are_over(days, charter):
    last = weeks(days, 4)
    look = look_at_cost(days, charter, last)
    assert look.line.reason == "only 10 of 14 windows are over: a day, or as many days as 20 tasks take"
    assert (look.window, look.score, look.noticed_days) == (CostWindow.DAY, None, None)
    document = cost_document(look)
    assert (document["line"], document["missing"]) == (None, look.line.reason)
    look = look_at_cost(days, charter, weeks(days, 6))
    assert isinstance(look.line, CostLine)
    assert (look.windows, look.line.line, look.alerts) == (25, 4.0, ())
    assert 5 < look.noticed_days < 25, "some windows of 2.8 days, weekends among them"
    assert cost_document(look)["noticed_days"] == look.noticed_days


def test_an_agent_that_has_been_silent_for_a_month_is_not_watched(days, charter):
    weeks(days, 6, tasks=30)
    last = weeks(days, 3, tasks=0)
    assert isinstance(look_at_cost(days, charter, last).line, CostLine)
    look = look_at_cost(days, charter, weeks(days, 1, tasks=0))
    assert cost_document(look)["missing"] == "no task came in the last 28 days"


def test_a_day_counts_once_with_all_its_task_types(days, charter):
    for _ in range(20):
        days.add(15)
        last = days.add(10, task_type="credit_note")
    assert look_at_cost(days, charter, last).windows == 20
    assert look_at_cost(days, charter, last - timedelta(days=5)).windows == 15, "later days are left out"


def test_a_runaway_day_is_told_with_its_day_also_when_days_were_counted_together(days, charter):
    weeks(days, 5, tasks=30)
    dear = days.add(30, usd=0.4)
    last = weeks(days, 1, tasks=30)
    (rise,) = look_at_cost(days, charter, last, since=dear - timedelta(days=2)).alerts
    assert (rise.begins, rise.until) == (dear, dear)
    assert rise.risen <= dear
    look = look_at_cost(days, charter, last, since=dear)
    document = cost_document(look, look.alerts[0])
    assert document["sentence"].startswith(
        f"A typical task cost {significant(rise.alert.cost_usd)} USD on {calendar_day(dear)} "
    )
    assert document["sentence"].endswith(f"score {rise.alert.score:.1f} against 4.0.")
    assert document["risen"] == rise.risen.isoformat()
    assert look_at_cost(days, charter, last).alerts == (), "it was told on its day"


def test_a_rise_of_thin_days_names_all_of_them(days, charter):
    last = weeks(days, 10)
    for number in range(14):
        last = days.add(12 if number % 7 < 5 else 0, usd=0.3)
    look = look_at_cost(days, charter, last, since=last - timedelta(days=13))
    rise = look.alerts[0]
    assert rise.begins < rise.until
    assert (
        f"from {calendar_day(rise.begins)} to {calendar_day(rise.until)} where it usually costs 0.0"
        in cost_document(look, rise)["sentence"]
    )


def test_many_tasks_are_compared_by_days_until_hours_can_be(days, charter):
    last = weeks(days, 4, tasks=720, hours=24, sigma=0.3)
    assert look_at_cost(days, charter, last).window is CostWindow.DAY
    last = weeks(days, 18, tasks=720, hours=24, sigma=0.3)
    look = look_at_cost(days, charter, last)
    assert (look.window, look.noticed_days) == (CostWindow.HOUR, HOURLY_DELAY_DAYS)
    for _ in range(3):
        last = days.add(720, usd=0.05, hours=24, sigma=0.3)
    look = look_at_cost(days, charter, last, since=last - timedelta(days=2))
    assert look.alerts[0].until == last - timedelta(days=2)
    said = cost_document(look, look.alerts[0])["sentence"]
    assert f"USD on {calendar_day(look.alerts[0].until)} at 0" in said
    assert "where this hour usually costs 0.0" in said


def test_hours_in_which_tasks_are_free_say_nothing(days, charter):
    last = weeks(days, 21, tasks=720, hours=24, sigma=0.3)
    free = days.add(720, usd=0, hours=24)
    assert look_at_cost(days, charter, free).window is CostWindow.HOUR
    assert look_at_cost(days, charter, free).score == look_at_cost(days, charter, last).score


def test_windows_of_thin_days_stay_the_same_when_half_a_year_is_over(days, charter):
    for _ in range(170):
        day = days.add(8)
    first, scores, counted, ends = None, [], [], 0
    for number in range(60):
        day = days.add(8, usd=0.2 if 30 <= number < 36 else 0.02)
        look = look_at_cost(days, charter, day, since=day, first=first)
        first = look.next_first
        scores.append(round(look.score, 3))
        counted += look.alerts
        ends += (230 - 60 + number + 1) % 3 == 0
    assert sum(a != b for a, b in pairwise(scores)) <= ends, (
        "a score changes when a window ends, each third day"
    )
    assert [(one.until - one.begins).days for one in counted] == [2], "told once, with its own three days"
    assert first > START
    for _ in range(200):
        day = days.add(0)
    assert look_at_cost(days, charter, day, first=first).next_first == day - timedelta(days=181)


def test_costs_that_are_mostly_unknown_are_not_watched(days, charter):
    last = weeks(days, 8, tasks=30)
    assert isinstance(look_at_cost(days, charter, last).line, CostLine)
    for _ in range(20):
        last = days.add(0, unpriced=40)
    look = look_at_cost(days, charter, last)
    assert look.line.reason.startswith("the cost of 800 of 950 tasks of the last 28 days is not known")
    assert (look.line.have, look.line.need) == (150, 475)
    assert look.noticed_days is None


def test_days_of_an_older_version_do_not_count_as_free(days, charter):
    weeks(days, 8, tasks=30, old=True)
    look = look_at_cost(days, charter, weeks(days, 2, tasks=30))
    assert (look.line.have, look.line.need) == (10, 14)


def test_an_agent_of_too_different_tasks_notices_no_doubling_and_says_so(days, charter):
    for number in range(40):
        last = days.add(25, usd=0.02 * (12 if number % 2 else 1))
    look = look_at_cost(days, charter, last)
    assert isinstance(look.line, CostLine)
    assert look.noticed_days is None
