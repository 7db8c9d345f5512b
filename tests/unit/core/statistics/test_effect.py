# SPDX-License-Identifier: Apache-2.0
"""The relative change against a holdout: right coverage with clusters, and refusals that say what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pilothouse.core.statistics.effect import UNITS_MIN, relative_change
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence


def units(rng, count, mean, *, between=0.3, within=0.5, cases=6):
    """Draw clusters whose means differ between units: cases of one unit hang together."""
    levels = mean * rng.gamma(1 / between**2, between**2, size=count)
    return [
        list(level * rng.gamma(1 / within**2, within**2, size=rng.integers(1, cases + 1))) for level in levels
    ]


def test_too_few_units_in_one_group_is_no_answer():
    rng = np.random.default_rng(1)
    found = relative_change(units(rng, 100, 1.0), units(rng, UNITS_MIN - 1, 1.0))
    assert isinstance(found, NotEnoughEvidence)
    assert (found.have, found.need) == (UNITS_MIN - 1, UNITS_MIN)


def test_a_mean_that_is_not_positive_has_no_ratio():
    found = relative_change([[0.0]] * 30, [[1.0]] * 30)
    assert isinstance(found, NotEnoughEvidence)
    assert "positive" in found.reason


def test_units_without_cases_are_left_out():
    rng = np.random.default_rng(2)
    some = units(rng, 40, 1.0)
    assert relative_change([*some, []], some) == relative_change(some, some)


def test_no_spread_gives_a_point():
    found = relative_change([[2.0]] * 25, [[4.0]] * 25)
    assert (found.value, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))


def test_with_one_case_a_unit_it_is_welch_on_the_log_ratio():
    """A second implementation: scipy's Welch degrees of freedom on means scaled to one."""
    rng = np.random.default_rng(3)
    one, other = rng.gamma(9, 1 / 9, 60) * 0.8, rng.gamma(9, 1 / 9, 35)
    found = relative_change([[x] for x in one], [[x] for x in other])
    scaled = stats.ttest_ind(one / one.mean(), other / other.mean() + 1e-12, equal_var=False)
    half = stats.t.ppf(0.975, scaled.df) * math.hypot(
        stats.sem(one) / one.mean(), stats.sem(other) / other.mean()
    )
    centre = math.log(one.mean() / other.mean())
    assert (found.low, found.high) == pytest.approx(
        (math.expm1(centre - half), math.expm1(centre + half)), rel=1e-6
    )


@pytest.mark.parametrize("truth", [0.0, -0.3])
def test_it_covers_the_truth_although_cases_of_a_unit_hang_together(truth):
    rng = np.random.default_rng(4)
    runs, hit, naive = 600, 0, 0
    for _ in range(runs):
        agent, held = units(rng, 60, 1 + truth), units(rng, 30, 1.0)
        found = relative_change(agent, held)
        hit += found.low <= truth <= found.high
        flat = relative_change(*([[x] for unit in group for x in unit] for group in (agent, held)))
        naive += isinstance(flat, Estimate) and flat.low <= truth <= flat.high
    assert hit / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
    assert naive / runs < hit / runs  # cases counted as if independent cover less: the clusters matter
