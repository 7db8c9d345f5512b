# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from pilothouse.core.statistics import (
    DayCounts,
    DayStratum,
    NotEnoughEvidence,
    Stratum,
    allocate_labels,
    weighted_score,
)
from pilothouse.core.statistics.allocation import _scores
from pilothouse.errors import MalformedRecord


def window(*rows):
    return [Stratum(name=f"v{i}", judged=j, labelled=m, good=g) for i, (j, m, g) in enumerate(rows)]


def test_the_ordinary_judge_gets_sixty_forty():
    rates = allocate_labels(window((89_900, 10_000, 9_933), (10_100, 10_000, 4_653)), 300, 20)
    assert [r.share for r in rates] == pytest.approx([0.6, 0.4], abs=0.01)
    assert [r.probability * n for r, n in zip(rates, (270, 30), strict=True)] == pytest.approx(
        [12, 8], abs=0.3
    )


def test_without_a_window_shares_are_equal():
    rates = allocate_labels(window((0, 0, 0), (0, 0, 0)), 300, 20)
    assert [r.share for r in rates] == [0.5, 0.5]


def test_no_share_falls_below_the_floor():
    assert [
        r.share for r in allocate_labels(window((2_000, 200, 100), (10, 5, 5)), 300, 20)
    ] == pytest.approx([0.7, 0.3])
    three = [r.share for r in allocate_labels(window((2_000, 200, 100), (10, 5, 5), (10, 5, 5)), 300, 20)]
    assert three == pytest.approx([0.6, 0.2, 0.2])
    assert sum(three) == pytest.approx(1)
    assert allocate_labels(window((100, 10, 5)), 300, 20)[0].share == 1


def test_what_a_full_verdict_cannot_take_goes_to_the_other():
    rates = allocate_labels(window((990, 50, 25), (10, 10, 5)), 100, 30, floor=0.5)
    assert rates[1].probability == 1
    assert rates[0].probability * 98.95 == pytest.approx(30 - 1.05, abs=0.1)
    assert [r.probability for r in allocate_labels(window((50, 5, 3), (50, 5, 3)), 100, 1_000)] == [1.0, 1.0]


def test_no_chance_falls_below_one_in_five_hundred():
    assert min(r.probability for r in allocate_labels(window((50, 5, 3), (50, 5, 3)), 1e6, 1)) == 0.002


@pytest.mark.parametrize(
    ("field", "judged", "budget", "floor"),
    [("expected_judged", 0, 5, 0.3), ("budget", 5, 0, 0.3), ("floor", 5, 5, 0.6)],
)
def test_plans_outside_their_range_are_refused(field, judged, budget, floor):
    with pytest.raises(MalformedRecord) as error:
        allocate_labels(window((10, 5, 5)), judged, budget, floor)
    assert error.value.subject == field


def day(*rows):
    return DayCounts(
        day=date(2026, 1, 1),
        strata=tuple(
            DayStratum(name=f"v{i}", judged=j, labelled_good=g, labelled_bad=b, probability=p, predicted=m)
            for i, (j, g, b, p, m) in enumerate(rows)
        ),
    )


def test_the_weighted_score_is_unbiased_over_all_coins():
    rng = np.random.default_rng(3)
    values = []
    for _ in range(4_000):
        good, bad = rng.binomial(270, 0.05), rng.binomial(30, 0.05)
        values.append(weighted_score_mean(day((300, good, bad, 0.05, 0.7))))
    assert np.mean(values) == pytest.approx(0.9, abs=0.01)


def weighted_score_mean(one):
    scores, counts = _scores(one)
    return float(scores @ counts / counts.sum())


def test_when_everything_is_labelled_the_score_is_the_plain_rate():
    e = weighted_score(day((300, 282, 18, 1.0, 0.5)))
    assert e.value == pytest.approx(0.94)
    assert 0.85 < e.low < 0.94 < e.high < 1
    assert e.n == 300


def test_a_day_of_nothing_but_good_labels_reaches_one():
    e = weighted_score(day((300, 300, 0, 1.0, 0.9)))
    assert e.high == 1.0
    low = weighted_score(day((300, 0, 300, 1.0, 0.9)))
    assert low.low == 0.0
    assert low.value == 0.0


def test_verdicts_that_did_not_occur_are_left_out_and_a_silent_day_says_so():
    assert weighted_score(day((300, 10, 2, 0.05, 0.9), (0, 0, 0, 0.0, 0.5))).n == 12
    silent = weighted_score(day((300, 0, 0, 0.0, 0.9)))
    assert isinstance(silent, NotEnoughEvidence)
    assert silent.need == 1


def test_scores_far_outside_the_range_stay_inside_it():
    e = weighted_score(day((10, 0, 5, 0.01, 0.9)))
    assert (e.value, e.low) == (0.0, 0.0)
    e = weighted_score(day((10, 10, 0, 0.01, 0.02)))
    assert (e.value, e.high) == (1.0, 1.0)
