# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics import CostMonitor, NotEnoughEvidence, StreamAnomaly
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
    assert line.notes == ()
    raised = cost.copy()
    raised[-10:] *= 1.5
    reading = monitor.read(raised, tasks, line)
    last = [a for a in reading.alerts if a.hour >= len(cost) - 10]
    assert len(last) == 1
    assert last[0].cost_usd > 1.2 * last[0].usual_usd
    assert reading.score > line.line
    assert reading.n > 0


def test_an_alert_is_not_repeated_within_its_refractory_time():
    cost, tasks = series(25)
    cost[-30:] *= 2
    monitor = CostMonitor()
    hours = [
        a.hour
        for a in monitor.read(cost, tasks, monitor.calibrate(*series(25))).alerts
        if a.hour >= len(cost) - 30
    ]
    assert len(hours) >= 2
    assert min(np.diff(hours)) >= 12


def test_short_history_gets_a_fixed_line_or_none():
    cost, tasks = series(10)
    line = CostMonitor().calibrate(cost, tasks)
    assert line.line == 5.5
    assert "less than 20 weeks" in line.notes[0]
    missing = CostMonitor(per_year=4).calibrate(*series(7))
    assert isinstance(missing, NotEnoughEvidence)
    assert (missing.have, missing.need, missing.unit) == (7, 8, "weeks")
    assert "4 false alarms" in CostMonitor(per_year=4).calibrate(cost, tasks).guarantee


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
    assert not [a for a in reading.alerts if a.hour in hours]
    assert [a for a in monitor.read(cost, tasks, line).alerts if a.hour in hours]


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


@pytest.mark.parametrize("weeks", [10, 26])
def test_traffic_too_thin_for_any_hour_to_be_compared_arms_no_monitor(weeks):
    rng = np.random.Generator(np.random.PCG64(3))
    tasks = np.bincount(rng.integers(0, weeks * 168, weeks * 60), minlength=weeks * 168)
    found = CostMonitor().calibrate(np.where(tasks > 0, 0.02, 0.0), tasks)
    assert (found.have, found.need, found.unit) == (0, 100, "scored hours")
    assert found.reason == f"only 0 hours of {weeks} weeks can be held against the same hour of other weeks"
