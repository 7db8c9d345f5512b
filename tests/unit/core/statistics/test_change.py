# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from pilothouse.core.statistics import (
    Certification,
    CertifierState,
    DayCounts,
    DayStratum,
    DropCertifier,
    DropDetector,
    DropState,
    Estimate,
    JudgeWarning,
    MethodId,
    NotEnoughEvidence,
    Reading,
    WarningState,
    answered_probability,
    baseline_floor,
    jeffreys_interval,
    jeffreys_lower,
    predicted_rate,
    weighted_score,
)
from pilothouse.core.statistics.change import day_log_e, lower_bound_at
from pilothouse.core.statistics.wealth import BETS, LOG_MAX, multiply, restart_and_multiply
from pilothouse.errors import MalformedRecord

START = date(2026, 1, 1)


def day(i, good=14, bad=6, probability=0.0667, judged=300, predicted=0.94):  # noqa: PLR0917 - a day has that many counts
    one = DayStratum(
        name="all",
        judged=judged,
        labelled_good=good,
        labelled_bad=bad,
        probability=probability,
        predicted=predicted,
    )
    return DayCounts(day=START + timedelta(days=i), strata=(one,))


def silent(i):
    return day(i, good=0, bad=0, probability=0.0)


def follow(detector, days, state=None):
    state = state or detector.start()
    reading = None
    for one in days:
        state, reading = detector.update(state, one)
    return state, reading


def test_the_day_counts_give_the_product_over_items():
    strata = (
        DayStratum(name="pass", judged=5, labelled_good=2, labelled_bad=1, probability=0.5, predicted=0.9),
        DayStratum(name="fail", judged=2, labelled_good=0, labelled_bad=1, probability=0.8, predicted=0.4),
    )
    items = [
        (0.9, 0.5, 1),
        (0.9, 0.5, 1),
        (0.9, 0.5, 0),
        (0.9, 0.5, None),
        (0.9, 0.5, None),
        (0.4, 0.8, 0),
        (0.4, 0.8, None),
    ]
    m0, reach = 0.92, max(0.9 + 0.1 / 0.5, 0.4 + 0.6 / 0.8) - 0.92
    for c, ours in zip(BETS, day_log_e(DayCounts(day=START, strata=strata), m0), strict=True):
        z = [m if y is None else m + (y - m) / p for m, p, y in items]
        assert ours == pytest.approx(sum(math.log1p(c / reach * (m0 - x)) for x in z), abs=1e-12)


def test_the_mean_of_the_day_e_value_is_at_most_one_at_the_line():
    rng = np.random.default_rng(5)
    values = []
    for _ in range(20_000):
        good = rng.binomial(20, 0.92)
        taken, missed = rng.binomial(good, 0.3), rng.binomial(20 - good, 0.3)
        values.append(np.exp(day_log_e(day(0, int(taken), int(missed), 0.3, 20, 0.9), 0.92)))
    # The boldest bet wins rarely and much: its mean needs more days than a test has.
    assert np.mean(values, axis=0)[:-1] == pytest.approx(np.ones(len(BETS) - 1), abs=0.06)


def test_a_drop_raises_an_alarm_and_the_next_day_starts_afresh():
    detector = DropDetector(m0=0.92)
    state, reading = follow(detector, [day(i) for i in range(4)])
    alarms = []
    state = detector.start()
    for i in range(4):
        state, reading = detector.update(state, day(i))
        alarms.append(getattr(reading, "alarm", None))
    assert alarms == [None, None, True, False]
    assert reading.guarantee.startswith("If quality stays inside the band")


def test_a_quiet_week_raises_none_and_shows_the_day():
    _, reading = follow(DropDetector(m0=0.92), [day(i, good=19, bad=1) for i in range(7)])
    assert isinstance(reading, Reading)
    assert not reading.alarm
    assert reading.days == 7
    assert isinstance(reading.per_day, Estimate)
    assert reading.e_value < reading.threshold == 365


def test_detectors_share_one_false_alarm_a_year():
    detector = DropDetector(m0=0.92, arl_days=100, detectors=3)
    assert detector.threshold == 300
    assert "100 days" in detector.guarantee


def test_fewer_than_three_days_are_not_enough():
    _, reading = follow(DropDetector(m0=0.92), [day(0), day(1)])
    assert isinstance(reading, NotEnoughEvidence)
    assert (reading.have, reading.need, reading.unit) == (2, 3, "days")


def test_a_week_without_requested_labels_is_not_enough_and_changes_nothing():
    detector = DropDetector(m0=0.92)
    state, _ = follow(detector, [day(i, good=19, bad=1) for i in range(5)])
    after, reading = follow(detector, [silent(i) for i in range(5, 11)], state)
    assert isinstance(reading, Reading)
    assert reading.per_day is None
    assert not reading.alarm
    after, reading = follow(detector, [silent(11)], after)
    assert isinstance(reading, NotEnoughEvidence)
    assert after.log_wealth == state.log_wealth


def test_a_day_whose_coins_picked_nothing_is_used_as_it_is():
    detector = DropDetector(m0=0.92)
    state, _ = follow(detector, [day(i, good=19, bad=1) for i in range(3)])
    after, _ = detector.update(state, day(3, good=0, bad=0))
    assert after.days == 4
    assert after.log_wealth != state.log_wealth


def test_a_repeated_day_changes_nothing_and_a_different_one_is_refused():
    detector = DropDetector(m0=0.92)
    state, reading = follow(detector, [day(i) for i in range(3)])
    assert detector.update(state, day(2)) == (state, reading)
    with pytest.raises(MalformedRecord, match="again with other counts"):
        detector.update(state, day(2, good=13))
    with pytest.raises(MalformedRecord, match="in order"):
        detector.update(state, day(1))


def test_a_gap_is_noted_and_carries_no_information():
    detector = DropDetector(m0=0.92)
    state, _ = follow(detector, [day(i, good=19, bad=1) for i in range(3)])
    _, reading = detector.update(state, day(6, good=19, bad=1))
    assert reading.notes == ("3 days before 7 Jan 2026 are missing: they carry no information",)
    assert reading.days == 4


def test_a_replay_of_stored_states_gives_the_same_state():
    detector, adapter = DropDetector(m0=0.92), TypeAdapter(DropState)
    straight, _ = follow(detector, [day(i, good=18, bad=2) for i in range(6)])
    state = detector.start()
    for i in range(6):
        state, _ = detector.update(adapter.validate_json(adapter.dump_json(state)), day(i, good=18, bad=2))
    assert state == straight


@pytest.mark.parametrize("m0", [0.01, 0.999, float("nan")])
def test_a_line_at_the_edge_is_refused(m0):
    with pytest.raises(MalformedRecord, match=r"0\.01, 0\.999"):
        DropDetector(m0=m0)


def test_the_line_is_the_tolerance_or_the_bound_whichever_is_lower():
    assert baseline_floor(jeffreys_interval(9_400, 10_000)) == pytest.approx(0.92)
    rough = jeffreys_interval(188, 200)
    assert baseline_floor(rough) == pytest.approx(jeffreys_lower(188, 200), abs=0.001)
    assert lower_bound_at(jeffreys_interval(188, 200, 0.90), 0.95) == jeffreys_lower(188, 200, 0.95)
    perfect = jeffreys_interval(200, 200)
    assert perfect.low < lower_bound_at(perfect, 0.95) < 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"probability": 0.0}, "unknown"),
        ({"probability": 1.5}, "probability"),
        ({"predicted": 1.0}, "predicted"),
        ({"labelled_good": 11}, "labelled_good"),
        ({"labelled_bad": 8}, "labelled_bad"),
    ],
)
def test_a_stratum_that_cannot_be_is_refused(change, said):
    fields = {
        "name": "pass",
        "judged": 10,
        "labelled_good": 3,
        "labelled_bad": 1,
        "probability": 0.5,
        "predicted": 0.9,
    }
    with pytest.raises(MalformedRecord, match=said):
        DayStratum(**(fields | change))


@pytest.mark.parametrize(("probability", "least", "most"), [(1.0, 3.8, 3.8), (0.1, 1.2, 1.4)])
def test_turns_of_a_conversation_are_evidence_of_fewer_items_where_several_are_labelled(
    probability, least, most
):
    day = DayCounts(day=START, strata=(
        DayStratum(name="pass", judged=270, labelled_good=20, labelled_bad=4, probability=probability, predicted=0.98),
        DayStratum(name="fail", judged=30, labelled_good=1, labelled_bad=2, probability=probability, predicted=0.5)))  # fmt: skip
    five = replace(day, turns=5.0)
    assert least <= five.design_effect <= most
    assert day_log_e(five, 0.92) == pytest.approx(day_log_e(day, 0.92) / five.design_effect)
    one, few = weighted_score(day), weighted_score(five)
    assert few.value == one.value
    assert few.high - few.low >= one.high - one.low
    assert few.n_effective == pytest.approx(27 / five.design_effect)


def test_fewer_than_one_turn_two_verdicts_of_one_name_and_a_half_asked_day_are_refused():
    one = DayStratum(name="pass", judged=10, labelled_good=3, labelled_bad=1, probability=0.5, predicted=0.9)
    unasked = DayStratum(
        name="fail", judged=10, labelled_good=0, labelled_bad=0, probability=0.0, predicted=0.5
    )
    with pytest.raises(MalformedRecord, match="turns"):
        DayCounts(day=START, strata=(one,), turns=0.5)
    with pytest.raises(MalformedRecord, match="twice"):
        DayCounts(day=START, strata=(one, one))
    with pytest.raises(MalformedRecord, match="every verdict"):
        DayCounts(day=START, strata=(one, unasked))


def test_unanswered_requests_lower_the_chance_or_keep_the_day_open():
    open_day = answered_probability(0.1, selected=20, answered=17, recent_selected=0, recent_answered=0)
    assert isinstance(open_day, NotEnoughEvidence)
    assert (open_day.have, open_day.need) == (17, 18)
    assert answered_probability(0.1, selected=0, answered=0, recent_selected=0, recent_answered=0) == 0.1
    assert answered_probability(
        0.1, selected=20, answered=18, recent_selected=100, recent_answered=95
    ) == pytest.approx(0.095)


def test_predictions_start_at_the_prior_and_stay_inside():
    assert predicted_rate(0, 0) == 0.95
    assert predicted_rate(1_000, 1_000) == 0.98
    assert predicted_rate(0, 1_000, 0.5) == 0.02


def test_wealth_is_kept_between_its_bounds():
    assert max(multiply([690.0] * 2, np.array([50.0, 1.0]))) == LOG_MAX
    assert min(restart_and_multiply([0.0], np.array([-2000.0]))) == -LOG_MAX


# --- warning


def warn(warning, counts, state=None):
    state = state or warning.start()
    readings = []
    for i, passed in counts:
        state, reading = warning.update(state, START + timedelta(days=i), 300, passed)
        readings.append(reading)
    return state, readings


def test_a_fall_of_judge_passes_buys_labels_for_ten_days_and_then_not_before_day_twenty():
    warning = JudgeWarning(base_pass_rate=0.90, j=0.85)
    _, readings = warn(warning, [(i, 240) for i in range(45)])
    assert [i for i, r in enumerate(readings) if r.warning] == [0, 20, 40]
    assert [r.labels_tomorrow for r in readings[:12]] == [60] * 10 + [None] * 2
    assert readings[0].n == 300


def test_quiet_days_buy_nothing_and_a_repeated_day_changes_nothing():
    warning = JudgeWarning(base_pass_rate=0.90, j=0.1)
    assert warning.line == pytest.approx(0.90 - 0.02 * 0.3)
    state, readings = warn(warning, [(i, 270) for i in range(20)])
    assert not any(r.warning for r in readings)
    assert warning.update(state, START + timedelta(days=19), 300, 270) == (state, readings[-1])
    adapter = TypeAdapter(WarningState)
    assert adapter.validate_json(adapter.dump_json(state)) == state


def test_the_burst_is_capped_by_what_reviewers_can_do():
    short, enough = (
        JudgeWarning(base_pass_rate=0.90, j=0.85, capacity=25),
        JudgeWarning(base_pass_rate=0.90, j=0.85, capacity=80),
    )
    assert warn(short, [(0, 200)])[1][0].labels_tomorrow == 25
    assert "reviewers can give 25" in warn(short, [(0, 200)])[1][0].notes[0]
    assert warn(enough, [(0, 200)])[1][0].labels_tomorrow == 60


# --- certification


KNOWN = Estimate(
    value=0.94,
    low=0.94,
    high=0.94,
    level=0.95,
    n=1,
    n_effective=1,
    unit="rate",
    method=MethodId.QUALITY_INTERVAL,
    guarantee="",
)


def test_a_large_drop_is_proved_and_stays_proved():
    certifier = DropCertifier(baseline=KNOWN)
    state = certifier.start(START)
    assert certifier.m0 == pytest.approx(0.89)
    assert certifier.threshold == 40
    for i in range(1, 4):
        state, reading = certifier.update(state, day(i, good=60, bad=40, probability=0.3333))
    assert reading.proved
    assert reading.days_more is None
    assert "Alarm on 1 Jan 2026; more than 5 points: proved on 2 Jan 2026." in reading.sentence
    state, reading = certifier.update(state, day(4, good=100, bad=0, probability=0.3333))
    assert reading.proved


def test_what_is_not_proved_says_about_how_long_it_takes_or_that_it_does_not_grow():
    certifier = DropCertifier(baseline=KNOWN, drop=0.05, alpha=0.10)
    state = certifier.start(START)
    state, reading = certifier.update(state, day(1, good=84, bad=16, probability=0.3333))
    assert not reading.proved
    assert reading.days_more >= 1
    assert "90 %" in reading.guarantee
    state, reading = certifier.update(certifier.start(START), day(1, good=100, bad=0, probability=0.3333))
    assert reading.days_more is None
    assert "does not grow" in reading.sentence
    assert isinstance(reading, Certification)


def test_the_certifier_starts_after_the_alarm_and_skips_silent_and_repeated_days():
    certifier = DropCertifier(baseline=KNOWN)
    state = certifier.start(START)
    with pytest.raises(MalformedRecord, match="a day after the alarm"):
        certifier.update(state, day(0))
    state, reading = certifier.update(state, silent(1))
    assert (reading.days, reading.e_value) == (0, 1.0)
    state, _ = certifier.update(state, day(2))
    assert certifier.update(state, day(2))[0] == state
    adapter = TypeAdapter(CertifierState)
    assert adapter.validate_json(adapter.dump_json(state)) == state
