# SPDX-License-Identifier: Apache-2.0
"""The delay that is promised for drift is the one that weekly looks at simulated weeks really have."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.drift import accumulated_evidence, feature_drift
from pilothouse.core.statistics.drift_detection import WEEKS_MAX, drift_detectability, weeks_until
from pilothouse.core.statistics.results import TestResult
from pilothouse.errors import MalformedRecord

THRESHOLD = 156.0


def weeks_lived(n, share, rng):
    """Live weeks in which a share of the cases moved far away, until the evidence of the look reaches its alarm."""
    reference, evidence = {"x": rng.normal(size=n)}, 0.0
    for week in range(1, 9):
        current = rng.normal(size=n) + 50 * (rng.random(n) < share)
        (only,) = feature_drift(reference, {"x": current}).features
        assert isinstance(only.result, TestResult)
        evidence = accumulated_evidence([max(only.result.p_value, 1e-12)]) * (evidence + 1)
        if evidence >= THRESHOLD:
            return week
    return 9


@pytest.mark.parametrize("share", [0.05, 0.08, 0.15])
def test_the_promise_is_never_kinder_than_simulated_weeks_and_near_them_for_large_changes(share):
    rng = np.random.default_rng(11)
    lived = np.median([weeks_lived(1_500, share, rng) for _ in range(9)])
    (promised,) = drift_detectability(1_500, 1_500, features=1, threshold=THRESHOLD, shares=[share])
    assert promised.days is not None
    weeks = promised.days / 7
    assert lived <= weeks, (lived, promised)
    assert share < 0.08 or weeks - lived <= 1, (lived, promised)


def test_more_cases_and_larger_shares_are_seen_sooner_and_no_change_never():
    few, many = (drift_detectability(n, n, features=7, threshold=THRESHOLD) for n in (300, 5_000))
    days = [[one.days or 999 for one in found] for found in (few, many)]
    assert all(a >= b for a, b in zip(*days, strict=True))
    assert all(found == sorted(found, reverse=True) for found in days)
    assert weeks_until(1.0, THRESHOLD) is None
    assert weeks_until(0.2, THRESHOLD) is None or weeks_until(0.2, THRESHOLD) <= WEEKS_MAX


@pytest.mark.parametrize(
    "call",
    [
        lambda: weeks_until(0.5, 1.0),
        lambda: drift_detectability(0, 1, features=1, threshold=2.0),
        lambda: drift_detectability(1, 1, features=0, threshold=2.0),
        lambda: drift_detectability(1, 1, features=1, threshold=2.0, shares=[1.0]),
    ],
)
def test_arguments_outside_their_range_are_refused(call):
    with pytest.raises(MalformedRecord):
        call()
