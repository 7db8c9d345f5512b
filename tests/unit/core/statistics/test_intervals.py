# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from statsmodels.stats.proportion import proportion_confint

from pilothouse.core.statistics import (
    Estimate,
    NotEnoughEvidence,
    anytime_interval,
    cases_to_prove_ceiling,
    cases_to_prove_floor,
    failure_upper_bound,
    jeffreys_interval,
    jeffreys_lower,
    jeffreys_upper,
)
from pilothouse.core.statistics.intervals import cases_to_exclude_failures
from pilothouse.errors import MalformedRecord


@pytest.mark.parametrize(("k", "n"), [(1, 10), (5, 50), (188, 200), (1999, 2000)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_jeffreys_and_clopper_pearson_agree_with_statsmodels(k, n, level):
    ours = jeffreys_interval(k, n, level)
    low, high = proportion_confint(k, n, alpha=1 - level, method="jeffreys")
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-10)
    _, upper = proportion_confint(k, n, alpha=2 * (1 - level), method="beta")
    assert failure_upper_bound(k, n, level).high == pytest.approx(upper, abs=1e-10)


def test_one_sided_bounds_are_the_ends_of_the_two_sided_interval_at_ninety_percent():
    ends = jeffreys_interval(188, 200, 0.90)
    assert jeffreys_lower(188, 200, 0.95) == pytest.approx(ends.low)
    assert jeffreys_upper(188, 200, 0.95) == pytest.approx(ends.high)


@pytest.mark.parametrize(("n", "percent"), [(50, 5.8), (100, 2.95), (200, 1.5), (300, 1.0)])
def test_no_failure_in_n_cases_supports_only_so_much(n, percent):
    bound = failure_upper_bound(0, n)
    assert bound.low == bound.value == 0
    assert 100 * bound.high == pytest.approx(percent, abs=0.06)


def test_all_good_and_all_bad_reach_the_end_and_are_never_a_point():
    good, bad = jeffreys_interval(200, 200), jeffreys_interval(0, 200)
    assert good.high == 1
    assert good.low == pytest.approx(0.987, abs=0.001)
    assert bad.low == 0
    assert bad.high == pytest.approx(0.013, abs=0.001)
    assert jeffreys_lower(0, 5) == 0
    assert jeffreys_upper(5, 5) == 1
    assert failure_upper_bound(5, 5).high == 1


def test_the_anytime_interval_is_wider_and_closes_at_the_ends():
    fixed, anytime = jeffreys_interval(188, 200), anytime_interval(188, 200)
    assert 1.7 <= (anytime.high - anytime.low) / (fixed.high - fixed.low) <= 1.9
    assert anytime_interval(0, 30).low == 0
    assert anytime_interval(30, 30).high == 1


@pytest.mark.parametrize("function", [jeffreys_interval, failure_upper_bound, anytime_interval])
def test_nothing_measured_is_not_enough_evidence(function):
    missing = function(0, 0)
    assert isinstance(missing, NotEnoughEvidence)
    assert (missing.have, missing.need) == (0, 1)


@pytest.mark.parametrize("function", [jeffreys_lower, jeffreys_upper])
def test_a_bound_of_nothing_is_refused(function):
    with pytest.raises(MalformedRecord, match="n is 0"):
        function(0, 0)


@pytest.mark.parametrize(
    ("good", "n", "level", "field"),
    [
        (-1, 5, 0.95, "good"),
        (6, 5, 0.95, "good"),
        (1, -1, 0.95, "n"),
        (1, 5, 1.0, "level"),
        (1, 5, 0.0, "level"),
        (1, 5, float("nan"), "level"),
        (0.5, 5, 0.95, "good"),
        (1, 5, "x", "level"),
    ],
)
def test_counts_and_levels_that_cannot_be_are_refused_by_name(good, n, level, field):
    with pytest.raises(MalformedRecord) as error:
        jeffreys_interval(good, n, level)
    assert error.value.subject == field
    assert "pilothouse explain" in error.value.remedy


def test_every_estimate_says_what_may_be_believed_at_its_level():
    assert "90 times in 100" in jeffreys_interval(5, 10, 0.90).guarantee
    assert "19 times in 20" in jeffreys_interval(5, 10).guarantee
    assert isinstance(jeffreys_interval(5, 10), Estimate)


def test_cases_to_prove_a_floor_are_the_first_that_do():
    more = cases_to_prove_floor(0.90, 0.94, have=100)
    total = cases_to_prove_floor(0.90, 0.94)
    assert more == total - 100
    assert jeffreys_lower(139, 148) >= 0.90 > jeffreys_lower(131, 140), "0.06 of 140 are nine bad ones"
    assert cases_to_prove_floor(0.95, 1.0) == 38
    assert jeffreys_lower(38, 38) >= 0.95 > jeffreys_lower(37, 37)
    assert cases_to_prove_floor(0.5, 1.0) == 1 + cases_to_prove_floor(0.5, 1.0, have=1)


@pytest.mark.parametrize("floor", [0.5, 0.9, 0.95, 0.99])
def test_who_collects_as_many_as_are_asked_for_has_proved_it(floor):
    """Whole cases: of 47 with two bad ones 65 were asked for, of which 62 are good, and 62 of 65 prove nothing."""
    asked = 0
    for n in (2, 7, 20, 47, 140, 403):
        for bad in range(min(n, 25)):
            further = cases_to_prove_floor(floor, (n - bad) / n, have=n)
            if further:
                asked += 1
                total = n + further
                expected = math.ceil(bad * total / n - 1e-9)
                assert jeffreys_lower(total - expected, total) >= floor, (n, bad, further)
            excluded = cases_to_exclude_failures(1 - floor, bad / n, have=n)
            if excluded:
                total = n + excluded
                failures = math.ceil(bad * total / n - 1e-9)
                assert failure_upper_bound(failures, total).high <= 1 - floor + 1e-12, (n, bad, excluded)
    assert asked > 5


def test_a_bound_that_is_there_needs_nothing_and_one_that_never_comes_is_none():
    assert cases_to_prove_floor(0.90, 0.99, have=10_000) == 0
    assert cases_to_prove_floor(0.95, 0.95) is None
    assert cases_to_prove_floor(0.95, 0.950001) is None
    assert cases_to_prove_ceiling(0.05, 0.0) == 38
    assert cases_to_prove_ceiling(0.05, 0.06) is None


def test_one_case_can_be_enough():
    assert cases_to_prove_floor(0.001, 1.0) == 1
