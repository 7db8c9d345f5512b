# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from scipy import stats

from pilothouse.core.verdict.saturation import VolumePoint, find_saturation


def point(per_minute, good, n=150):
    return VolumePoint(per_minute=per_minute, good=good, n=n)


def test_the_first_volume_whose_lower_bound_falls_under_the_least_is_the_point_of_saturation():
    found = find_saturation([point(600, 90), point(6, 150), point(60, 148)], 0.95)
    assert (found.held, found.fell) == (60, 600)
    # Jeffreys' bound, computed from the beta distribution.
    assert found.low == pytest.approx(stats.beta.ppf(0.05, 90.5, 60.5), abs=1e-9)


def test_a_volume_above_that_holds_again_does_not_hide_one_that_fell():
    found = find_saturation([point(6, 150), point(60, 90), point(600, 150)], 0.95)
    assert (found.held, found.fell) == (6, 60)


def test_where_nothing_falls_the_highest_volume_is_only_the_highest_that_was_sent():
    found = find_saturation([point(6, 150), point(60, 150)], 0.95)
    assert (found.held, found.fell) == (60, None)
    assert "the highest volume that was sent" in found.sentence


def test_too_few_cases_hold_at_no_volume_and_no_case_says_nothing():
    found = find_saturation([point(6, 20, 20)], 0.95)
    assert found.held is None
    assert found.sentence.startswith("no volume holds 95.0 %: at 6 a minute only ")
    assert find_saturation([point(6, 0, 0)], 0.95) is None
