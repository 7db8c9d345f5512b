# SPDX-License-Identifier: Apache-2.0
"""Labels drawn by verdict give the width that twice as many drawn uniformly give: what theory allows, and no more.

The widths of single windows scatter by a sixth, and labels go with the square of the width: one window says nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.allocation import allocate_labels
from pilothouse.core.statistics.labels import labels_for_half_width
from pilothouse.core.statistics.quality import Stratum, quality_interval

QUALITY, SE, SP = 0.94, 0.95, 0.90
JUDGED, BUDGET, DAYS = 300, 20.0, 28
PASSED = QUALITY * SE + (1 - QUALITY) * (1 - SP)
WEIGHTS = np.array([PASSED, 1 - PASSED])
GOOD = np.array([QUALITY * SE / PASSED, QUALITY * (1 - SE) / (1 - PASSED)])
NAMES = ("pass", "fail")


def strata(days):
    judged, labelled, good = np.sum(days, axis=0)
    return [
        Stratum(name=name, judged=int(j), labelled=int(n), good=int(g))
        for name, j, n, g in zip(NAMES, judged, labelled, good, strict=True)
    ]


def window(rng, chances):
    """Live a month; `chances` says how likely each verdict is drawn, from the days before."""
    days = []
    for _ in range(DAYS + 7):
        passed = rng.binomial(JUDGED, PASSED)
        judged = np.array([passed, JUDGED - passed])
        labelled = rng.binomial(judged, chances(days[-7:]))
        days.append((judged, labelled, rng.binomial(labelled, GOOD)))
    month = strata(days[-DAYS:])
    estimate = quality_interval(month)
    return (estimate.high - estimate.low) / 2, sum(one.labelled for one in month)


def mean(seed, chances, repeats=40):
    rng = np.random.default_rng(seed)
    return np.mean([window(rng, chances) for _ in range(repeats)], axis=0)


def test_drawing_by_verdict_saves_what_neyman_allows():
    none = [(np.zeros(2), np.zeros(2), np.zeros(2))]
    half, spent = mean(
        1, lambda week: [one.probability for one in allocate_labels(strata(week or none), JUDGED, BUDGET)]
    )
    best = labels_for_half_width(WEIGHTS, GOOD, half, allocated=False) / labels_for_half_width(
        WEIGHTS, GOOD, half
    )
    assert best == pytest.approx(2.03, abs=0.01)
    uniform, more = mean(2, lambda _week: [best * BUDGET / JUDGED] * 2)
    assert more / spent == pytest.approx(best, abs=0.1)
    assert half / uniform == pytest.approx(1.0, abs=0.08), "as narrow with half of the labels"
    plain = QUALITY * (1 - QUALITY) * (1.96 / half) ** 2
    assert plain / spent > 2.5, "and without a judge"
