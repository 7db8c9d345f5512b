# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pilothouse.core.statistics import NotEnoughEvidence, mean_bounds, quantile_bounds
from pilothouse.errors import LimitExceeded, MalformedRecord


def test_the_ninety_fifth_percentile_needs_fifty_nine_values():
    missing = quantile_bounds(list(range(58)), 0.95)
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.need == 59
    assert quantile_bounds(list(range(59)), 0.95).high == 58


@pytest.mark.parametrize("q", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("n", [59, 200, 1_000])
def test_each_quantile_bound_is_the_tightest_order_statistic_that_holds(q, n):
    e = quantile_bounds(list(range(1, n + 1)), q)
    high, low = int(e.high), int(e.low)
    assert stats.binom.cdf(high - 1, n, q) >= 0.95 > stats.binom.cdf(high - 2, n, q)
    assert stats.binom.sf(low - 1, n, q) >= 0.95 > stats.binom.sf(low, n, q)
    assert e.low <= e.value <= e.high


def test_unsorted_values_are_refused_at_the_first_fall():
    with pytest.raises(MalformedRecord, match=r"values\[2\] is 1.0"):
        quantile_bounds([1.0, 3.0, 1.0], 0.5)


def test_without_skewness_the_mean_bounds_are_those_of_student():
    x = np.linspace(-1, 1, 201) + 3
    e = mean_bounds(x)
    reach = stats.t.ppf(0.95, 200) * x.std(ddof=1) / np.sqrt(201)
    assert (e.low, e.high) == pytest.approx((3 - reach, 3 + reach), abs=1e-9)


def test_a_long_right_tail_moves_both_mean_bounds_to_the_right():
    x = np.random.default_rng(1).lognormal(0, 1.2, 500)
    e = mean_bounds(x, unit="usd")
    reach = stats.t.ppf(0.95, 499) * x.std(ddof=1) / np.sqrt(500)
    assert e.low > x.mean() - reach
    assert e.high > x.mean() + reach


def test_the_bounds_of_a_left_tail_are_those_of_the_right_tail_mirrored():
    x = np.random.default_rng(1).lognormal(0, 1.2, 500)
    right, left = mean_bounds(x), mean_bounds(-x)
    assert (left.low, left.high) == pytest.approx((-right.high, -right.low), rel=1e-12)


def test_the_upper_bound_allows_for_skewness_that_the_sample_hides():
    x = np.random.default_rng(1).lognormal(0, 1.2, 500)
    deviations, n = x - x.mean(), 500
    spread = np.sqrt((deviations**2).mean())
    c = float(((deviations / spread) ** 3).mean()) / np.sqrt(n)
    t = stats.t.ppf(0.95, n - 1)
    hall = [
        x.mean() - 3 / k * (np.cbrt(1 + k * (sign * t - k / 6)) - 1) * spread / np.sqrt(n - 1)
        for sign, k in ((1, c), (-1, c))
    ]
    e = mean_bounds(x)
    assert e.low == pytest.approx(hall[0], rel=1e-12)
    assert e.high > hall[1]


def test_one_expensive_case_in_a_hundred_moves_the_bound_to_the_right_not_back():
    few, rare = mean_bounds([0.1] * 99 + [1.0]), mean_bounds([0.1] * 99 + [10.0])
    assert few.high > few.value + 3 * (few.value - 0.1)
    assert rare.high > rare.value + 3 * (rare.value - 0.1)


def test_equal_values_give_a_point_with_a_note():
    e = mean_bounds([2.0] * 100)
    assert (e.low, e.value, e.high) == (2.0, 2.0, 2.0)
    assert "equal" in e.notes[0]


def test_fewer_than_a_hundred_cases_give_no_mean():
    missing = mean_bounds([1.0] * 99)
    assert (missing.have, missing.need, missing.unit) == (99, 100, "cases")


def test_numbers_that_are_none_are_refused_with_their_index():
    with pytest.raises(MalformedRecord, match=r"values\[1\] is nan"):
        mean_bounds([1.0, float("nan")])
    with pytest.raises(MalformedRecord, match="flat array of numbers"):
        mean_bounds(["a"])


def test_more_than_ten_million_values_are_refused():
    with pytest.raises(LimitExceeded, match="limit is 10000000"):
        mean_bounds(np.broadcast_to(np.array(1.0), 10_000_001))


def test_a_quantile_of_values_that_are_worth_fewer_has_the_ranks_of_so_many():
    values = list(range(1, 401))
    plain, fewer = quantile_bounds(values, 0.95), quantile_bounds(values, 0.95, effective=100)
    hundred = quantile_bounds(list(range(1, 101)), 0.95)
    assert fewer.value == plain.value
    assert (fewer.low, fewer.high) == (4 * hundred.low, 4 * hundred.high)
    assert fewer.low < plain.low < plain.high < fewer.high
    assert quantile_bounds(values, 0.95, effective=400) == plain
    assert quantile_bounds(values, 0.95, effective=58).have == 58
    with pytest.raises(MalformedRecord):
        quantile_bounds(values, 0.95, effective=401)
