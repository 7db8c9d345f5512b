# SPDX-License-Identifier: Apache-2.0
"""The delay that is promised for drift is the one that weekly looks at simulated weeks really have."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.drift import feature_drift
from pilothouse.core.statistics.drift_detection import drift_detectability
from pilothouse.core.statistics.results import TestResult
from pilothouse.errors import MalformedRecord

ALARM_P = 1 / 156


def is_alarmed(reference, current):
    (only,) = feature_drift({"x": reference}, {"x": current}).features
    assert isinstance(only.result, TestResult)
    return only.result.p_value <= ALARM_P


def weeks_lived(n, share, rng):
    """Live weeks in which a share of the cases moved far away, until a look raises its alarm."""
    reference = rng.normal(size=n)
    for week in range(1, 30):
        if is_alarmed(reference, rng.normal(size=n) + 50 * (rng.random(n) < share)):
            return week
    return 30


@pytest.mark.parametrize("share", [0.05, 0.08, 0.15])
def test_the_promise_is_never_kinder_than_simulated_weeks_and_near_them_for_large_changes(share):
    rng = np.random.default_rng(11)
    lived = np.median([weeks_lived(1_500, share, rng) for _ in range(9)])
    (promised,) = drift_detectability(1_500, 1_500, features=1, alarm_p=ALARM_P, shares=[share])
    assert promised.days is not None
    weeks = promised.days / 7
    assert lived <= weeks, (lived, promised)
    assert share < 0.08 or weeks - lived <= 1, (lived, promised)


def test_weeks_that_share_a_small_reference_raise_no_more_than_one_false_alarm_in_three_years():
    rng = np.random.default_rng(12)
    alarms = weeks = 0
    for _ in range(60):
        reference = rng.normal(size=100)
        for _ in range(52):
            alarms += is_alarmed(reference, rng.normal(size=2_000))
            weeks += 1
    # 60 years hold 20; their number varies more than that of independent weeks, because each first week is odd for a year.
    assert alarms <= 40, "evidence that was multiplied over these weeks raised 78"


def test_more_cases_and_larger_shares_are_seen_sooner_and_no_change_never():
    few, many = (drift_detectability(n, n, features=7, alarm_p=ALARM_P) for n in (300, 5_000))
    days = [[one.days or 999 for one in found] for found in (few, many)]
    assert all(a >= b for a, b in zip(*days, strict=True))
    assert all(found == sorted(found, reverse=True) for found in days)
    assert days[0][0] == 999
    assert days[1][-1] == 7


@pytest.mark.parametrize(
    "call",
    [
        lambda: drift_detectability(0, 1, features=1, alarm_p=0.01),
        lambda: drift_detectability(1, 1, features=0, alarm_p=0.01),
        lambda: drift_detectability(1, 1, features=1, alarm_p=1.0),
        lambda: drift_detectability(1, 1, features=1, alarm_p=0.01, shares=[1.0]),
    ],
)
def test_arguments_outside_their_range_are_refused(call):
    with pytest.raises(MalformedRecord):
        call()
