# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa
from truescore import gwet_ac1

from pilothouse.core.statistics import (
    NotEnoughEvidence,
    Stratum,
    agreement,
    judge_card,
    judged_margin,
    quality_interval,
)
from pilothouse.errors import MalformedRecord


def card_of(passed, failed, **more):
    return judge_card(
        [
            Stratum(name="pass", judged=1888, labelled=passed[0], good=passed[1]),
            Stratum(name="fail", judged=212, labelled=failed[0], good=failed[1]),
        ],
        **more,
    )


GOOD = card_of((100, 99), (100, 46), identity="abc")


@pytest.mark.parametrize("table", [((40, 3), (2, 5)), ((20, 10), (8, 12)), ((90, 1), (4, 5))])
def test_kappa_ac1_and_alpha_agree_with_the_reference_libraries(table):
    ours = agreement(table)
    (a, b), (c, d) = table
    first, second = np.repeat([1, 1, 0, 0], [a, b, c, d]), np.repeat([1, 0, 1, 0], [a, b, c, d])
    assert ours.kappa.value == pytest.approx(cohens_kappa(np.array(table)).kappa, abs=1e-12)
    assert ours.ac1.value == pytest.approx(gwet_ac1(first, second), abs=1e-12)
    assert ours.alpha.value == pytest.approx(
        krippendorff.alpha(np.stack([first, second]), level_of_measurement="nominal"), abs=1e-12
    )
    assert ours.observed.value == pytest.approx((a + d) / (a + b + c + d))
    for e in (ours.kappa, ours.ac1, ours.alpha, ours.observed):
        assert e.low < e.value < e.high


def test_the_card_shows_what_the_counts_say():
    theta = quality_interval(GOOD.strata)
    assert GOOD.quality.value == pytest.approx(theta.value)
    assert (GOOD.quality.low, GOOD.quality.high) == pytest.approx((theta.low, theta.high))
    q, a, b = 1888 / 2100, 0.99, 0.46
    assert GOOD.se.value == pytest.approx(q * a / (q * a + (1 - q) * b))
    assert GOOD.j.value == pytest.approx(GOOD.se.value + GOOD.sp.value - 1)
    assert GOOD.sp.low < GOOD.sp_lower < GOOD.sp.value
    assert (GOOD.n, GOOD.identity) == (200, "abc")


def test_without_any_failure_the_specificity_is_unknown_and_wide():
    blind = card_of((100, 100), (100, 100))
    assert "unknown" in blind.sp.notes[0]
    assert blind.sp.high - blind.sp.low > 0.5
    assert 0 < blind.sp.value < 1


def test_fewer_than_thirty_labels_of_a_verdict_make_no_card():
    missing = card_of((100, 99), (20, 10))
    assert (missing.have, missing.need) == (120, 130)
    with pytest.raises(MalformedRecord, match="exactly the verdicts"):
        judge_card([Stratum(name="pass", judged=10, labelled=5, good=5)])


def test_agreement_needs_thirty_items_and_two_by_two():
    assert agreement(((10, 1), (1, 10))).need == 30
    with pytest.raises(MalformedRecord, match="2 x 2"):
        agreement(((1, 2, 3), (4, 5, 6)))


def test_a_rater_with_one_category_gets_an_interval_and_a_note():
    one = agreement(((45, 0), (5, 0)))
    assert "kappa says little" in one.kappa.notes[0]
    assert one.kappa.value == 0
    both = agreement(((50, 0), (0, 0)))
    assert "unknown" in both.kappa.notes[0]
    assert both.kappa.low < both.kappa.value < both.kappa.high


def test_a_blurred_judge_makes_the_margin_smaller():
    proved, tight = judged_margin(GOOD, 0.05), judged_margin(GOOD, 0.05, "tight")
    assert proved.margin < tight.margin < 0.05
    assert proved.alpha == pytest.approx(0.04)
    assert tight.alpha == 0.05
    assert "not proved" in tight.notes[1]
    assert proved.j_low == pytest.approx(proved.margin / 0.05)


def test_a_judge_that_sees_too_little_cannot_decide_a_margin():
    missing = judged_margin(card_of((100, 94), (100, 90)), 0.05)
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.need is None
    with pytest.raises(MalformedRecord, match="proved"):
        judged_margin(GOOD, 0.05, "guess")
