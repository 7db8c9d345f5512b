# SPDX-License-Identifier: Apache-2.0
"""Labels drawn with different chances speak for what they were drawn from, and never for more."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics import DrawnLabel, Estimate, quality_interval, stratum_of_labels
from pilothouse.core.statistics.drawn_labels import CHANCES_APART_MAX
from pilothouse.errors import MalformedRecord

DAYS_BAD, DAYS_BOUGHT = 3, 4
PER_DAY, PASSED = 300, 0.9
BAD = {"pass": (0.93, 0.04), "fail": (0.3, 0.2)}
BOUGHT = {"pass": (0.995, 0.5), "fail": (0.6, 1.0)}
"""Quality and chance of a label: three bad days with few labels, then four good ones for which a warning bought many."""


def labels(count, *, good, chance, first=0):
    return [DrawnLabel(good=k < good, probability=chance, coin=(first + k) / 997 % 1) for k in range(count)]


def test_with_one_chance_they_are_the_labels_as_they_are():
    for count, good in ((1, 1), (1, 0), (7, 3), (200, 199), (200, 0)):
        found = stratum_of_labels("pass", 500, labels(count, good=good, chance=0.3))
        assert (found.judged, found.labelled, found.good) == (500, count, good)
    assert stratum_of_labels("pass", 500, []).labelled == 0
    assert stratum_of_labels("pass", 1, labels(1, good=1, chance=1.0)).good == 1


def test_within_twice_the_smallest_chance_each_weighs_what_it_stands_for():
    rare, often = labels(50, good=25, chance=0.1), labels(100, good=100, chance=0.1 * CHANCES_APART_MAX)
    found = stratum_of_labels("pass", 1_000, rare + often)
    assert found.good / found.labelled == pytest.approx(0.75, abs=0.01), "500 tasks at a half, 500 all good"
    weights = np.repeat([10.0, 5.0], [50, 100])
    said = np.repeat([1.0, 0.0, 1.0], [25, 25, 100])
    spread = (weights**2 @ (said - 0.75) ** 2) / weights.sum() ** 2
    assert found.labelled == int(0.75 * 0.25 / spread), "as many as have this variance"


def test_further_apart_a_part_of_what_was_drawn_oftener_is_left_out():
    rare, often = labels(40, good=40, chance=0.01), labels(800, good=800, chance=0.8)
    found = stratum_of_labels("pass", 5_000, rare + often)
    assert 40 < found.labelled < 70, "4,000 tasks of 40 labels and 1,000 of 800"
    assert found.good == found.labelled


def test_the_only_bad_one_is_not_rounded_away():
    found = stratum_of_labels(
        "pass", 5_000, labels(150, good=149, chance=0.1) + labels(150, good=150, chance=0.05)
    )
    assert found.good == found.labelled - 1


@pytest.mark.parametrize(
    "wrong", [{"probability": 0.0}, {"probability": 1.5}, {"probability": float("nan")}, {"coin": -0.1}]
)
def test_no_chance_and_no_coin_outside_their_range(wrong):
    with pytest.raises(MalformedRecord):
        DrawnLabel(**{"good": True, "probability": 0.5, "coin": 0.5, **wrong})


def test_more_labels_than_items_are_refused():
    with pytest.raises(MalformedRecord):
        stratum_of_labels("pass", 3, labels(4, good=4, chance=0.5))


def week(rng):
    """Return the true quality of a week and its labels by verdict."""
    drawn, judged, good_tasks = {"pass": [], "fail": []}, {"pass": 0, "fail": 0}, 0
    for day in [BAD] * DAYS_BAD + [BOUGHT] * DAYS_BOUGHT:
        passed = rng.random(PER_DAY) < PASSED
        for name, here in (("pass", passed), ("fail", ~passed)):
            quality, chance = day[name]
            good = rng.random(int(here.sum())) < quality
            judged[name] += len(good)
            good_tasks += int(good.sum())
            drawn[name] += [
                DrawnLabel(good=bool(one), probability=chance, coin=float(rng.random()))
                for one in good[rng.random(len(good)) < chance]
            ]
    return good_tasks / (PER_DAY * (DAYS_BAD + DAYS_BOUGHT)), judged, drawn


def test_days_for_which_labels_were_bought_do_not_speak_for_the_days_before_them():
    rng = np.random.default_rng(20_261_130)
    covered = floors = 0
    for _ in range(40):
        truth, judged, drawn = week(rng)
        found = quality_interval([stratum_of_labels(name, judged[name], drawn[name]) for name in judged])
        assert isinstance(found, Estimate)
        covered += found.low <= truth <= found.high
        floors += found.low > truth
    assert covered >= 34, "of 40 at .95: fewer has a chance of 1 in 300; counted plainly it was 0 of 40"
    assert floors <= 4, "of 40 at .025: more has a chance of 1 in 300; counted plainly it was 40 of 40"
