# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import calendar
import math
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from pilothouse.core.statistics import (
    CostMonitor,
    CostWindow,
    NotEnoughEvidence,
    StreamAnomaly,
    windows_until,
)
from pilothouse.core.statistics.cost_windows import window_starts
from pilothouse.core.statistics.rolling import lagged, median_of_rows, window_before
from pilothouse.errors import MalformedRecord


def series(weeks, seed=1, noise=0.05):
    hours = np.arange(weeks * 168)
    r = np.random.default_rng(seed)
    return 0.02 * np.exp(0.3 * np.sin(2 * np.pi * hours / 24) + noise * r.normal(size=len(hours))), np.full(
        len(hours), 100
    )


def test_a_burst_of_cost_is_one_alert_with_what_is_usual():
    cost, tasks = series(30)
    monitor = CostMonitor()
    line = monitor.calibrate(cost, tasks)
    assert line.weeks == 30
    assert line.line >= 4
    raised = cost.copy()
    raised[-10:] *= 1.5
    reading = monitor.read(raised, tasks, line)
    last = [a for a in reading.alerts if a.position >= len(cost) - 10]
    assert len(last) == 1
    assert last[0].cost_usd > 1.2 * last[0].usual_usd
    assert reading.score > line.line
    assert reading.n > 0


def test_an_alert_is_not_repeated_within_its_refractory_time():
    cost, tasks = series(25)
    cost[-30:] *= 2
    monitor = CostMonitor()
    hours = [
        a.position
        for a in monitor.read(cost, tasks, monitor.calibrate(*series(25))).alerts
        if a.position >= len(cost) - 30
    ]
    assert len(hours) >= 2
    assert min(np.diff(hours)) >= 12


def test_short_history_gets_no_line_of_hours():
    missing = CostMonitor(per_year=4).calibrate(*series(19))
    assert isinstance(missing, NotEnoughEvidence)
    assert (missing.have, missing.need, missing.unit) == (19, 20, "weeks")
    assert "4 false alarms" in CostMonitor(per_year=4).calibrate(*series(20)).guarantee


def test_a_series_without_variation_has_the_least_line():
    assert CostMonitor().calibrate([0.02] * (168 * 21), [100] * (168 * 21)).line == 4.0


def test_thin_hours_are_pooled_and_excluded_ones_left_out():
    cost, tasks = series(25)
    tasks[-50:-40] = 3
    tasks[-45] = 0
    cost[-45] = 0.0
    cost[-100:-90] *= 30
    monitor = CostMonitor()
    line = monitor.calibrate(*series(25))
    hours = range(len(cost) - 100, len(cost) - 90)
    reading = monitor.read(cost, tasks, line, excluded=tuple(hours))
    assert not [a for a in reading.alerts if a.position in hours]
    assert [a for a in monitor.read(cost, tasks, line).alerts if a.position in hours]


def test_no_score_without_history_and_no_cost_that_cannot_be():
    monitor = CostMonitor()
    line = monitor.calibrate(*series(25))
    assert monitor.read([0.02] * 5, [100] * 5, line).score is None
    with pytest.raises(MalformedRecord, match=r"cost_usd\[1\] is 0.0"):
        monitor.read([0.02, 0.0], [100, 100], line)
    with pytest.raises(MalformedRecord, match=r"excluded\[0\] is 5"):
        monitor.read([0.02], [100], line, excluded=[5])


def test_a_spike_stands_out_and_its_echo_does_not():
    r = np.random.default_rng(1)
    x = np.sin(2 * np.pi * np.arange(3_000) / 288) + 0.1 * r.normal(size=3_000)
    x[2_000] += 5
    x[2_050] += 4.9
    scores = np.array(StreamAnomaly().score(x).scores)
    assert int(np.argmax(scores)) == 2_000
    assert scores[2_050] < 0.3 * scores[2_000]
    assert (scores[:20] == 0).all()


def test_scores_do_not_know_the_future():
    x = np.random.default_rng(2).normal(size=900)
    monitor = StreamAnomaly(day=24)
    assert monitor.score(x[:600]).scores == pytest.approx(monitor.score(x).scores[:600], abs=1e-6)


def test_a_constant_series_and_a_short_one():
    assert max(StreamAnomaly(day=24).score([1.0] * 100).scores) == 0
    assert StreamAnomaly().score([1.0] * 5).need == 20
    with pytest.raises(MalformedRecord):
        StreamAnomaly(window=5)


def test_windows_and_lags_have_gaps_at_the_start():
    x = np.array([1.0, 2.0, 3.0])
    assert np.isnan(lagged(x, (5,))).all()
    assert window_before(x, 2)[2].tolist() == [1.0, 2.0]
    assert median_of_rows(np.array([[4.0, 1.0, 2.0, np.nan]])).tolist() == [2.0]
    assert median_of_rows(np.array([[4.0, 1.0]])).tolist() == [2.5]


@pytest.mark.parametrize("weeks", [20, 26])
def test_traffic_too_thin_for_any_hour_to_be_compared_arms_no_monitor(weeks):
    rng = np.random.Generator(np.random.PCG64(3))
    tasks = np.bincount(rng.integers(0, weeks * 168, weeks * 60), minlength=weeks * 168)
    found = CostMonitor().calibrate(np.where(tasks > 0, 0.02, 0.0), tasks)
    assert (found.have, found.need, found.unit) == (0, 100, "scored hours")
    assert found.reason == f"only 0 hours of {weeks} weeks can be held against the same hour of other weeks"


DAILY = CostMonitor(window=CostWindow.DAY)


def days(count, seed=4, sigma=0.3):
    """Typical costs of days: what the mean of 25 logarithms leaves of tasks that scatter by a factor of some 4."""
    return 0.02 * np.exp(np.random.default_rng(seed).normal(0, sigma, count))


def test_fourteen_days_arm_a_monitor_of_few_tasks_and_a_runaway_day_raises_it():
    cost = days(30)
    assert DAILY.calibrate(cost[:13], [25] * 13).need == 14
    line = DAILY.calibrate(cost[:14], [25] * 14)
    assert (line.line, line.weeks, line.n) == (4.0, 2, 14)
    assert DAILY.read(cost[:14], [25] * 14, line).score is None
    raised = cost.copy()
    raised[-1] = 0.2
    (alert,) = DAILY.read(raised, [25] * 30, line).alerts
    assert (alert.position, alert.begins) == (29, 29)
    assert alert.cost_usd == pytest.approx(raised[-1])
    assert alert.usual_usd == pytest.approx(0.02, rel=0.3)
    assert DAILY.read(cost, [25] * 30, line).alerts == ()


def test_the_line_of_days_is_the_promise():
    lines = [
        CostMonitor(window=CostWindow.DAY, per_year=per_year).calibrate(days(20), [25] * 20).line
        for per_year in (1, 2, 4, 50)
    ]
    assert lines[0] == pytest.approx(4.52, abs=0.01)
    assert lines == sorted(lines, reverse=True)
    assert lines[-1] == 2.5


def test_thin_days_are_counted_together_weekends_of_nothing_among_them():
    tasks = np.array([8, 8, 8, 8, 8, 0, 0] * 10)
    cost = np.where(tasks > 0, 0.02, 0.0)
    line = DAILY.calibrate(cost, tasks)
    assert line.n == 50 // 3
    reading = DAILY.read(cost, tasks, line)
    assert reading.stride == pytest.approx(66 / 16), "three working days, with the weekends that lie between"
    cost[-7:] *= 3
    (alert,) = DAILY.read(cost, tasks, line).alerts
    assert (alert.since, alert.begins, alert.position) == (63, 63, 65), "Monday to Wednesday"


def test_where_windows_begin_is_known_for_those_that_are_over():
    assert window_starts([0, 8, 0, 8, 8, 25, 19]) == (1, 5)
    assert window_starts([]) == ()


def test_days_of_the_calendar_are_left_out_of_the_series_of_days():
    cost = np.concatenate([days(20), days(10, 5) * 20])
    line = DAILY.calibrate(cost[:20], [25] * 20)
    assert DAILY.read(cost, [25] * 30, line, excluded=range(20, 30)).alerts == ()
    assert DAILY.read(cost, [25] * 30, line).alerts


def test_a_lasting_rise_is_told_once_a_week_until_it_is_what_is_usual():
    cost = np.concatenate([days(28), days(60, 6) * 3])
    found = DAILY.read(cost, [25] * 88, DAILY.calibrate(cost[:28], [25] * 28)).alerts
    assert 1 <= len(found) <= 3
    assert found[0].position <= 29
    assert all(b.position - a.position >= 7 for a, b in pairwise(found))
    assert found[-1].position < 28 + 21
    thin = DAILY.read(cost, [10] * 88, DAILY.calibrate(cost[:28], [10] * 28)).alerts
    assert all(b.position - a.position >= 14 for a, b in pairwise(thin)), "windows count, not days"


def test_one_runaway_day_does_not_blind_the_month_after_it():
    cost = np.concatenate([days(20, 4, 0.2), [0.2], days(8, 7, 0.2), days(6, 8, 0.2) * 2])
    reading = DAILY.read(cost, [25] * 35, DAILY.calibrate(cost[:20], [25] * 20))
    assert reading.alerts[0].position == 20
    assert any(one.position >= 29 for one in reading.alerts)
    assert reading.alerts[-1].since >= 21


def test_how_soon_a_rise_is_noticed_is_known_from_the_spread():
    cost = days(40)
    reading = DAILY.read(cost, [25] * 40, DAILY.calibrate(cost, [25] * 40))
    assert reading.spread == pytest.approx(0.3, abs=0.08)
    assert windows_until(2.0, reading.spread, reading.line) in range(3, 8)
    assert windows_until(1.2, reading.spread, reading.line) is None
    assert windows_until(10.0, reading.spread, reading.line) == 1
    assert DAILY.read([0.02], [3], DAILY.calibrate(cost, [25] * 40)).stride is None


def test_tasks_that_cost_the_same_wake_nobody_for_a_few_percent():
    cost = np.concatenate([np.full(20, 0.02), np.full(20, 0.0212)])
    line = DAILY.calibrate(cost[:20], [25] * 20)
    assert DAILY.read(cost, [25] * 40, line).alerts == ()
    cost[20:] = 0.024
    assert DAILY.read(cost, [25] * 40, line).alerts
    with pytest.raises(MalformedRecord, match="a cost above 0 for a day with tasks"):
        DAILY.read([0.0], [1], line)


def months_of_days(is_dear, days=400, first=date(2026, 1, 10), times=3.0, seed=3):
    """Typical costs of days of 20 tasks, dear where `is_dear` says so of a day, and the days."""
    calendar_days = [first + timedelta(days=at) for at in range(days)]
    quiet = np.exp(np.random.default_rng(seed).normal(0, 0.1, days))
    return np.where([is_dear(one) for one in calendar_days], times, 1.0) * quiet, calendar_days


def last_of_month(one):
    return one.day == calendar.monthrange(one.year, one.month)[1]


def last_working_day(one):
    return one.weekday() < 5 and all(
        (one + timedelta(days=n)).weekday() > 4 for n in range(1, days_left(one))
    )


def days_left(one):
    return calendar.monthrange(one.year, one.month)[1] - one.day + 1


@pytest.mark.parametrize(
    "is_dear",
    [last_of_month, last_working_day, lambda one: one.day <= 3, lambda one: one.day == 15],
    ids=["last day", "last working day", "first three days", "payday"],
)
def test_dear_days_of_a_month_are_news_twice(is_dear):
    cost, days = months_of_days(is_dear)
    monitor = CostMonitor(window=CostWindow.DAY)
    line = monitor.calibrate(cost, [20] * len(cost))
    unknown = monitor.read(cost, [20] * len(cost), line).alerts
    assert len(unknown) >= 12, "each of them, where nobody knows which days they are"
    told = [days[one.position] for one in monitor.read(cost, [20] * len(cost), line, first=days[0]).alerts]
    assert len(told) == 2
    assert told[-1] < date(2026, 4, 5)


def test_a_month_end_dearer_than_it_used_to_be_and_one_dear_day_are_told():
    cost, days = months_of_days(last_of_month)
    at = next(at for at, one in enumerate(days) if one == date(2026, 9, 30))
    monitor = CostMonitor(window=CostWindow.DAY)
    line = monitor.calibrate(cost, [20] * len(cost))

    def told(costs):
        return [
            days[one.position] for one in monitor.read(costs, [20] * len(costs), line, first=days[0]).alerts
        ]

    assert days[at] not in told(cost)
    for place, times in ((at, 4.0), (at - 14, 8.0), (at + 14, 8.0)):
        dear = cost.copy()
        dear[place] *= times
        assert days[place] in told(dear)


def test_a_day_that_was_dear_in_one_month_is_expected_in_none():
    cost, days = months_of_days(lambda one: one in {date(2026, 4, 20), date(2026, 6, 20), date(2026, 8, 20)})
    monitor = CostMonitor(window=CostWindow.DAY)
    line = monitor.calibrate(cost, [20] * len(cost))
    told = monitor.read(cost, [20] * len(cost), line, first=days[0]).alerts
    assert [days[one.position].month for one in told] == [4, 6, 8]


def test_days_that_hang_together_keep_the_promise_of_false_alarms():
    rng = np.random.Generator(np.random.PCG64(4))
    monitor = CostMonitor(window=CostWindow.DAY)
    alarms = 0
    for _ in range(40):
        logs = rng.normal(0, 0.3 * math.sqrt(1 - 0.8**2), 379)
        for day in range(1, len(logs)):
            logs[day] += 0.8 * logs[day - 1]
        costs, tasks = np.exp(logs), [20] * len(logs)
        alarms += len(monitor.read(costs, tasks, monitor.calibrate(costs[:14], tasks[:14])).alerts)
    assert alarms <= 2 * 40, "before, they were five a year"


def test_days_that_hang_together_are_said_and_a_lasting_rise_is_not_taken_for_it():
    monitor = CostMonitor(window=CostWindow.DAY)
    swinging = np.exp(0.3 * np.sin(np.arange(200) / 3))
    line = monitor.calibrate(swinging, [20] * 200)
    assert monitor.read(swinging, [20] * 200, line).linked > 1.5
    calm = np.exp(0.2 * np.cos(np.arange(60) * 2.4))
    calm[50:] *= 3
    found = monitor.read(calm, [20] * 60, line)
    assert found.linked == 1.0
    assert [one.position for one in found.alerts][:1] == [50]
