# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from pilothouse.core.statistics import (
    DetectionDesign,
    NotEnoughEvidence,
    cases_needed,
    detectability,
    labels_needed,
    release_power,
    smallest_detectable,
)
from pilothouse.core.statistics.tango import tango_z
from pilothouse.errors import MalformedRecord

TABLE = [
    (0.03, (6.1, 4.3, 3.0, 1.9, 1.4), (75, 464)),
    (0.06, (8.6, 6.1, 4.3, 2.7, 1.9), (149, 928)),
    (0.10, (11.1, 7.9, 5.6, 3.5, 2.5), (248, 1546)),
    (0.15, (13.6, 9.6, 6.8, 4.3, 3.0), (371, 2319)),
    (0.25, (17.6, 12.4, 8.8, 5.6, 3.9), (619, 3865)),
    (2 * 0.9 * 0.1, (14.9, 10.5, 7.5, 4.7, 3.3), (446, 2783)),
]


@pytest.mark.parametrize(("flips", "points", "cases"), TABLE)
def test_the_table_of_sizes(flips, points, cases):
    assert [100 * smallest_detectable(n, flips) for n in (50, 100, 200, 500, 1_000)] == pytest.approx(
        points, abs=0.051
    )
    assert (cases_needed(0.05, flips), cases_needed(0.02, flips)) == cases


def test_clusters_multiply_the_cases():
    assert cases_needed(0.05, 0.06, design_effect=2.9) == pytest.approx(2.9 * 148.4, abs=1)


@pytest.mark.parametrize(("losses", "n"), [(0, 52), (1, 87), (2, 118), (3, 147), (5, 202)])
def test_fewest_cases_to_release_with_flips_all_against(losses, n):
    z = special.ndtri(0.95)
    assert float(tango_z(np.array(0.0), np.array(float(losses)), float(n), 0.05)) > z
    assert float(tango_z(np.array(0.0), np.array(float(losses)), float(n - 1), 0.05)) <= z


def test_the_exact_power_is_the_sum_over_the_trinomial():
    n, f = 60, 0.2
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            if float(tango_z(np.array(float(b)), np.array(float(c)), float(n), 0.1)) > special.ndtri(0.95):
                total += stats.multinomial.pmf([b, c, n - b - c], n, [f / 2 + 0.01, f / 2 - 0.01, 1 - f])
    assert release_power(n, f, 0.1, 0.02) == pytest.approx(total, abs=1e-9)


def test_every_flip_count_may_release_or_none():
    assert release_power(30, 0.001, 0.49) == pytest.approx(1.0, abs=1e-6)
    assert release_power(20, 0.9, 0.01) < 0.1
    with pytest.raises(MalformedRecord, match="no larger than the flip rate"):
        release_power(100, 0.02, 0.05, -0.05)


def test_the_exact_number_of_cases_is_larger_where_flips_are_few():
    exact = cases_needed(0.05, 0.06, exact=True)
    assert exact > cases_needed(0.05, 0.06)
    assert release_power(exact, 0.06, 0.05) >= 0.8
    assert cases_needed(0.10, 0.06, exact=True, design_effect=2.0) > 2 * 37


def test_a_power_that_two_thousand_cases_do_not_reach_says_so(monkeypatch):
    monkeypatch.setattr("pilothouse.core.statistics.power.EXACT_CASES_MAX", 40)
    missing = cases_needed(0.02, 0.25, exact=True)
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.need == 3865


LABELS = [
    (0.94, 0.98, 0.95, 241, (73, 79), (31, 34)),
    (0.94, 0.95, 0.90, 241, (133, 140), (65, 69)),
    (0.94, 0.90, 0.80, 241, (186, 191), (120, 124)),
    (0.94, 0.98, 0.60, 241, (153, 159), (130, 136)),
    (0.90, 0.95, 0.90, 384, (170, 190), (104, 116)),
    (0.80, 0.95, 0.90, 683, (223, 285), (185, 237)),
]


@pytest.mark.parametrize(("theta", "se", "sp", "plain", "uniform", "allocated"), LABELS)
def test_the_table_of_labels(theta, se, sp, plain, uniform, allocated):  # noqa: PLR0917 - one row of the table
    """The table rounds to the nearest label, the function rounds up."""
    assert labels_needed(theta, 0.5, 0.5, 0.03) == pytest.approx(plain, abs=1)
    for judged, expected in ((None, 0), (2_100, 1)):
        assert labels_needed(theta, se, sp, 0.03, judged, allocated=False) == pytest.approx(
            uniform[expected], abs=1
        )
        assert labels_needed(theta, se, sp, 0.03, judged) == pytest.approx(allocated[expected], abs=1)


def test_too_few_judged_items_cannot_give_the_range_at_all():
    missing = labels_needed(0.94, 0.95, 0.90, 0.01, 100)
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.unit == "judged"
    assert isinstance(labels_needed(0.94, 0.95, 0.90, 0.01, missing.need), int)


def design(**changes):
    return DetectionDesign(
        **(
            {"quality": 0.94, "se": 0.95, "sp": 0.90, "judged_per_day": 300, "labels_per_day": 20, "m0": 0.92}
            | changes
        )
    )


def within(days, expected):
    return abs(days - expected) <= max(2, 0.25 * expected)


def test_the_days_until_a_drop_is_noticed():
    days = [d.days for d in detectability(design())]
    assert all(within(d, e) for d, e in zip(days, (114, 12, 5, 3), strict=True))
    more = {d.drop: d.days for d in detectability(design(labels_per_day=60))}
    assert within(more[0.05], 6)
    assert within(more[0.10], 2)
    assert detectability(design())[1].labels == days[1] * 20


def test_a_drop_inside_the_band_is_never_noticed_and_a_fixed_share_is_used():
    never = detectability(design(m0=0.90), (0.03,))[0]
    assert (never.days, never.labels) == (None, None)
    assert detectability(design(share_pass=0.5), (0.05,))[0].days is not None
    with pytest.raises(MalformedRecord):
        detectability(design(m0=1.0))


def test_a_delay_rests_on_no_more_labels_than_there_are():
    def days(labels):
        found = detectability(design(judged_per_day=5_000, labels_per_day=labels), (0.05, 0.10))
        return [one.days for one in found]

    few, more, many = days(1), days(2), days(10)
    assert all(one > 1.9 * other > 1.9 * 4 * third for one, other, third in zip(few, more, many, strict=True))
    assert days(0) == [None, None]
