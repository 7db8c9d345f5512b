# SPDX-License-Identifier: Apache-2.0
"""What every statistical answer keeps, whatever counts it is given."""

from __future__ import annotations

import math
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.statistics import (
    DayCounts,
    DayStratum,
    DropDetector,
    Estimate,
    NotEnoughEvidence,
    PairedNonInferiority,
    Stratum,
    allocate_labels,
    anytime_interval,
    failure_upper_bound,
    jeffreys_interval,
    jeffreys_lower,
    jeffreys_upper,
    quality_interval,
)


@st.composite
def counts(draw, largest=5_000):
    n = draw(st.integers(1, largest))
    return draw(st.integers(0, n)), n


@st.composite
def strata(draw):
    made = []
    for name in ("pass", "fail"):
        judged = draw(st.integers(0, 2_000))
        labelled = draw(st.integers(0, min(judged, 200)))
        made.append(Stratum(name=name, judged=judged, labelled=labelled, good=draw(st.integers(0, labelled))))
    return made


def is_sound(e):
    return (
        0 <= e.low <= e.value <= e.high <= 1
        and e.low < e.high
        and all(map(math.isfinite, (e.value, e.low, e.high)))
    )


@given(counts(), st.floats(0.5, 0.999))
def test_intervals_of_rates_are_sound_and_the_anytime_one_is_the_widest(pair, level):
    fixed, anytime, upper = (
        f(*pair, level) for f in (jeffreys_interval, anytime_interval, failure_upper_bound)
    )
    assert all(map(is_sound, (fixed, anytime, upper)))
    assert anytime.high - anytime.low >= fixed.high - fixed.low


@given(counts(1_000))
def test_one_more_good_case_never_lowers_a_bound(pair):
    good, n = pair
    assert jeffreys_lower(good + 1, n + 1) >= jeffreys_lower(good, n) - 1e-12
    assert jeffreys_upper(good, n + 1) <= jeffreys_upper(good, n) + 1e-12


@given(strata())
@settings(deadline=None, max_examples=40)
def test_quality_is_a_sound_interval_or_says_what_is_missing(rows):
    e = quality_interval(rows)
    if isinstance(e, NotEnoughEvidence):
        assert e.need is None or e.need > e.have
    else:
        assert is_sound(e)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400), st.floats(0.01, 0.4))
def test_more_losses_never_help_a_candidate(b, c, more, margin):
    n = b + c + 1 + more
    test = PairedNonInferiority(margin)
    less, worse = test.decide(b, c, n), test.decide(b, c + 1, n)
    if isinstance(less, NotEnoughEvidence) or isinstance(worse, NotEnoughEvidence):
        return
    assert worse.z <= less.z + 1e-9
    assert -1 <= less.difference.low <= less.difference.value <= less.difference.high <= 1


@given(strata(), st.floats(1, 5_000), st.floats(0.5, 500))
def test_label_shares_add_up_and_chances_are_chances(rows, judged, budget):
    rates = allocate_labels(rows, judged, budget)
    assert math.isclose(sum(r.share for r in rates), 1, abs_tol=1e-9)
    assert all(0.002 <= r.probability <= 1 for r in rates)
    assert min(r.share for r in rates) >= 0.3 - 1e-9


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=3, max_size=12))
@settings(deadline=None)
def test_bad_labels_in_place_of_good_ones_never_calm_the_detector(days):
    detector = DropDetector(m0=0.92)

    def evidence(swap):
        state = detector.start()
        for i, (good, bad) in enumerate(days):
            labels = (0, good + bad) if swap else (good, bad)
            one = DayStratum(
                name="all",
                judged=300,
                labelled_good=labels[0],
                labelled_bad=labels[1],
                probability=0.07,
                predicted=0.94,
            )
            state = detector.fold(state, DayCounts(day=date(2026, 1, 1) + timedelta(days=i), strata=(one,)))
            if detector.is_alarmed(state):
                return math.inf
        return max(state.log_wealth)

    assert evidence(True) >= evidence(False) or evidence(True) == math.inf


@given(counts())
def test_an_estimate_is_never_silent_about_itself(pair):
    e = jeffreys_interval(*pair)
    assert isinstance(e, Estimate)
    assert e.guarantee
    assert e.n == pair[1]
