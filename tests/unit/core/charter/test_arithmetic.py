# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from scipy.stats import beta

from pilothouse.core.charter.rules.arithmetic import cases_to_prove, days_to_detect, jeffreys_proves

BOUNDS = [0.01, 0.1, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999]


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("right", [1, 2, 5, 20, 37, 38, 60, 200, 1_000, 5_000, 50_000])
def test_a_proof_is_the_one_that_scipy_finds(right, bound):
    assert jeffreys_proves(right, bound) == (beta.ppf(0.05, right + 0.5, 0.5) >= bound)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_number_of_cases_is_the_smallest_that_proves(bound):
    n = cases_to_prove(bound)
    assert jeffreys_proves(n, bound)
    assert not jeffreys_proves(n - 1, bound)


def test_no_case_proves_nothing():
    assert not jeffreys_proves(0, 0.5)


def test_a_bound_too_small_for_the_series_errs_to_not_proven():
    assert not jeffreys_proves(1, 1e-9)


@pytest.mark.parametrize(("points", "median", "ninety"), [(5, 31, 62), (10, 8, 15)])
def test_the_delay_lies_where_the_simulated_detector_alarms(points, median, ninety):
    days = days_to_detect(rate=0.94, drop_points=points, scored_per_day=20, detectors=1)
    assert median * 0.9 <= days <= ninety


def test_more_scored_tasks_or_a_larger_drop_are_seen_earlier():
    def days(points, scored):
        return days_to_detect(rate=0.95, drop_points=points, scored_per_day=scored, detectors=1)

    assert days(5, 100) < days(5, 50) < days(5, 10)
    assert days(10, 20) < days(7, 20) < days(5, 20)


def test_more_task_types_watched_at_once_are_seen_later():
    one = days_to_detect(rate=0.95, drop_points=5, scored_per_day=50, detectors=1)
    assert one < days_to_detect(rate=0.95, drop_points=5, scored_per_day=50, detectors=5)


@pytest.mark.parametrize(("points", "scored"), [(2, 1_000), (1, 1_000), (5, 0)])
def test_a_drop_inside_the_tolerance_or_without_scores_is_never_seen(points, scored):
    assert days_to_detect(rate=0.95, drop_points=points, scored_per_day=scored, detectors=1) == math.inf


def test_nothing_is_seen_before_a_day_has_passed():
    assert days_to_detect(rate=0.95, drop_points=50, scored_per_day=1e6, detectors=1) == 1.0
