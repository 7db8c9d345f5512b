# SPDX-License-Identifier: Apache-2.0
"""A plain rate is watched with the promised delays and false alarms, and equals the drop detector on full labels."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from pilothouse.core.evidence.effective_counts import cases_of_a_day, effective_counts
from pilothouse.core.statistics.change import DropDetector
from pilothouse.core.statistics.daily import DayCounts, DayStratum
from pilothouse.core.statistics.rates import RateState, RateWatch, rate_detectability, rate_of_turns
from pilothouse.core.statistics.wealth import BETS, log_mean
from pilothouse.errors import PilothouseError

FIRST = date(2026, 1, 1)


def feed(watch, days, state=None, start=0):
    state, readings = state or RateState(), []
    for number, (n, good) in enumerate(days):
        state, reading = watch.update(state, FIRST + timedelta(days=start + number), n, good)
        readings.append(reading)
    return state, readings


def test_it_is_the_drop_detector_where_every_case_is_labelled():
    rng = np.random.default_rng(1)
    days = [(200, int(rng.binomial(200, 0.93))) for _ in range(40)]
    state, _ = feed(RateWatch(committed=0.95, arl_days=1e6), days)
    detector = DropDetector(m0=0.95, arl_days=1e6)
    oracle = detector.start()
    for number, (n, good) in enumerate(days):
        stratum = DayStratum(
            name="all", judged=n, labelled_good=good, labelled_bad=n - good, probability=1.0, predicted=0.9
        )
        oracle, _ = detector.update(oracle, DayCounts(day=FIRST + timedelta(days=number), strata=(stratum,)))
    assert log_mean(state.log_wealth) == pytest.approx(log_mean(oracle.log_wealth), abs=1e-9)


def test_quiet_years_stay_quiet_and_drops_are_found_when_promised():
    rng = np.random.default_rng(2)
    watch = RateWatch(committed=None, uses_baseline=True)
    alarms, delays = 0, []
    for _ in range(20):
        state, _ = feed(watch, [(100, int(g)) for g in rng.binomial(100, 0.96, 28)])
        _, year = feed(watch, [(100, int(g)) for g in rng.binomial(100, 0.96, 120)], state, 28)
        alarms += sum(one.alarm for one in year)
        _, bad = feed(watch, [(100, int(g)) for g in rng.binomial(100, 0.91, 60)], state, 28)
        delays.append(next(i for i, one in enumerate(bad) if one.alarm) + 1)
    promised = rate_detectability(value=0.96, line=0.94, cases_per_day=100, drops=(0.05,))[0].days
    assert alarms <= 1
    assert abs(np.median(delays) - promised) <= max(2, 0.3 * promised)


def test_cases_of_conversations_make_a_baseline_and_evidence_of_what_they_are_worth():
    watch = RateWatch(committed=None, uses_baseline=True)
    plain = few = RateState()
    for number in range(28):
        day = FIRST + timedelta(days=number)
        plain, _ = watch.update(plain, day, 100, 95)
        few, reading = watch.update(few, day, 100, 95, 10)
    assert (reading.n, reading.worth, few.alike) == (100, 10, 28 * 90)
    assert few.baseline.value == plain.baseline.value == pytest.approx(0.95)
    assert few.baseline.high - few.baseline.low == pytest.approx(
        np.sqrt(10) * (plain.baseline.high - plain.baseline.low), rel=0.1
    )
    fewer = RateState(n=2_800, good=2_660, days=28, alike=2_601)
    assert fewer.baseline is None, "199 cases are none"
    assert watch.line(few) < watch.line(plain)
    watch, day = RateWatch(committed=0.95), FIRST
    evidence = [
        log_mean(watch.update(RateState(), day, 100, 80, worth)[0].log_wealth) for worth in (None, 100, 20)
    ]
    assert evidence[0] == evidence[1] > evidence[2] > 0
    for bad in (0, 101):
        with pytest.raises(PilothouseError, match="worth"):
            watch.update(RateState(), day, 100, 80, bad)


def test_a_conversation_that_runs_away_every_day_hides_no_fall():
    good = [True] * 500 + [True] * 240 + [False] * 60
    talks = ["runs away"] * 500 + [None] * 300
    counted = cases_of_a_day(good, talks)
    assert counted == (300, 240, 300)
    watch, state = RateWatch(committed=0.95), RateState()
    for number in range(3):
        state, reading = watch.update(state, FIRST + timedelta(days=number), *counted)
    assert reading.alarm
    assert effective_counts(good, talks) == {"worth": 2}, "counted with all others it left nothing to see"


def test_without_a_line_it_learns_and_says_so():
    state, readings = feed(RateWatch(committed=None, uses_baseline=True), [(10, 10)] * 27)
    assert readings[-1].line is None
    assert "first month" in readings[-1].missing
    assert state.baseline is None
    state, _ = feed(RateWatch(committed=None, uses_baseline=True), [(10, 10)], state, 27)
    assert state.baseline is not None, "four weeks are over"
    _, readings = feed(RateWatch(committed=0.9, uses_baseline=False), [(10, 10)] * 2, state, 30)
    assert readings[-1].line == 0.9


def test_a_small_month_makes_no_baseline():
    state, _ = feed(RateWatch(committed=0.9, uses_baseline=True), [(5, 5)] * 30)
    assert state.baseline is None


@pytest.mark.parametrize("good", [0, 10, 40])
def test_a_first_month_that_was_as_bad_as_can_be_ends_no_watch(good):
    """Two points below one in a hundred there is no line: such a rate cannot fall, and its days are counted on."""
    days = [(20, 0)] * 27 + [(1_000, good)] + [(20, 0)] * 30
    _, readings = feed(RateWatch(committed=0.95, uses_baseline=True), days)
    assert readings[-1].line < 0.03
    assert not any(one.alarm for one in readings[-25:])


def test_days_without_cases_carry_nothing_and_are_counted():
    watch = RateWatch(committed=0.95)
    state, readings = feed(watch, [(100, 94), (0, 0), (0, 0)])
    assert readings[-1].missing == "no case for 2 days"
    assert readings[-1].e_value == pytest.approx(readings[0].e_value)
    state, readings = feed(watch, [(100, 94)], state, 3)
    assert state.silent == 0
    assert "2 finished days are too few" in readings[-1].missing


def test_an_alarm_starts_afresh_and_knows_when_the_fall_began():
    watch = RateWatch(committed=0.95)
    state, readings = feed(watch, [(100, 97)] * 10 + [(100, 85)] * 3)
    assert [one.alarm for one in readings[-3:]].count(True) >= 1
    assert state.risen == FIRST + timedelta(days=10)
    state, readings = feed(watch, [(100, 99)] * 20, state, 13)
    assert not any(one.alarm for one in readings[1:])
    assert state.risen is None


def test_an_alarm_before_silent_days_starts_afresh_too():
    """The alarm is never raised a second time by the same days, and never on a day on which all went well."""
    watch = RateWatch(committed=0.95)
    state, readings = feed(watch, [(100, 97)] * 10 + [(100, 60)])
    assert readings[-1].alarm
    state, readings = feed(watch, [(0, 0)] * 3, state, 11)
    assert readings[-1].missing == "no case for 3 days"
    assert readings[-1].e_value < 2
    _, readings = feed(watch, [(3, 3)], state, 14)
    assert not readings[0].alarm


def test_delays_never_promise_what_cannot_be_seen():
    found = rate_detectability(value=0.99, line=0.95, cases_per_day=50, drops=(0.03, 0.2))
    assert found[0].days is None
    assert found[0].labels is None
    assert found[1].days == 3
    with pytest.raises(PilothouseError, match="cases_per_day"):
        rate_detectability(value=0.9, line=0.8, cases_per_day=0)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.005, 0.02])
def test_a_low_rate_that_is_as_good_as_its_line_raises_no_alarm(rate):
    """A line that were raised to what is easy to bet against found a fall in two days where there was none."""
    rng = np.random.default_rng(3)
    days = [(500, int(rng.binomial(500, rate))) for _ in range(60)]
    _, readings = feed(RateWatch(committed=rate, detectors=3), days)
    assert not any(one.alarm for one in readings)
    assert readings[0].line == pytest.approx(rate, abs=1e-8)


def test_evidence_against_claims_that_are_true_never_grows_on_average():
    """Answers as good as each claims: the mean of the day's evidence, exactly, for claims that differ as they like."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        claims = rng.beta(*rng.uniform(0.3, 5, 2), size=40)
        line = min(float(claims.mean()), 0.998)
        for bet in BETS:
            stake = bet / (1 - line)
            mean = np.prod(claims * (1 + stake * (line - 1)) + (1 - claims) * (1 + stake * line))
            assert mean <= 1 + 1e-9


def test_a_rate_of_no_case_is_none_and_not_zero():
    assert rate_of_turns(0, 0, 0) is None
