# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from truescore import post_stratified_estimate

from pilothouse.core.statistics import NotEnoughEvidence, Stratum, jeffreys_interval, quality_interval
from pilothouse.core.statistics.clusters import label_design_effect
from pilothouse.core.statistics.lattice import (
    LATTICE_POINTS,
    beta_draws,
    dirichlet_draws,
    lattice,
    posterior_ends,
)
from pilothouse.errors import MalformedRecord


def strata(*rows):
    names = ("pass", "fail", "unscored", "other")
    return [Stratum(name=n, judged=j, labelled=m, good=g) for n, (j, m, g) in zip(names, rows, strict=False)]


GOLDEN = strata((1888, 120, 119), (212, 80, 38))


def test_the_golden_case_of_the_specification():
    e = quality_interval(GOLDEN)
    assert (e.value, e.low, e.high) == pytest.approx((0.9395, 0.9096, 0.9538), abs=5e-4)
    assert (e.n, e.n_effective, e.unit) == (200, 200.0, "rate")


def test_the_same_evidence_gives_the_same_bytes():
    assert quality_interval(GOLDEN) == quality_interval(list(GOLDEN))


def test_random_draws_agree_with_the_lattice():
    rng = np.random.default_rng(7)
    n = 1_000_000
    theta = rng.beta(1888.5, 212.5, n)
    theta = theta * rng.beta(119.5, 1.5, n) + (1 - theta) * rng.beta(38.5, 42.5, n)
    e = quality_interval(GOLDEN)
    assert (e.low, e.high) == pytest.approx(np.quantile(theta, [0.025, 0.975]), abs=8e-4)


def test_truescore_has_the_same_point_and_nearly_the_same_interval():
    # One judge verdict a stratum: inside it the judge is constant, so the oracle is the plain mean there.
    judge = np.repeat([1, 0], [1888, 212])
    index = np.concatenate([np.arange(120), 1888 + np.arange(80)])
    gold = np.repeat([1, 0, 1, 0], [119, 1, 38, 42])
    theirs = post_stratified_estimate(
        judge, gold, index, np.where(judge == 1, "pass", "fail"), {"pass": 1888, "fail": 212}
    )
    ours = quality_interval(GOLDEN)
    assert ours.value == pytest.approx(theirs.point, abs=1e-9)
    assert ours.low == pytest.approx(theirs.low, abs=0.015)
    assert ours.high == pytest.approx(theirs.high, abs=0.015)


def test_all_pass_is_a_wide_statement_and_never_a_point():
    e = quality_interval(strata((2100, 200, 200), (0, 0, 0)))
    assert e.high == 1
    assert e.value == 1
    assert e.low == pytest.approx(0.987, abs=0.001)
    assert quality_interval(strata((2100, 200, 0), (0, 0, 0))).low == 0


def test_without_a_judge_it_is_the_plain_interval():
    ours, plain = quality_interval(strata((2100, 200, 188))), jeffreys_interval(188, 200)
    assert (ours.value, ours.low, ours.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-12)


def test_three_verdicts_work_and_one_of_little_weight_may_stay_without_labels():
    e = quality_interval(strata((1880, 120, 119), (212, 80, 38), (8, 0, 0)))
    assert e.low < e.value < e.high
    assert "unscored" in e.notes[0]


def test_clustered_labels_widen_the_interval():
    wide, narrow = quality_interval(GOLDEN, design_effect=2.0), quality_interval(GOLDEN)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert wide.n_effective == 100
    asked = [quality_interval(GOLDEN, design_effect=effect, width_max=0.03).need for effect in (1.0, 2.0)]
    assert asked[1] == pytest.approx(2 * asked[0], abs=2), "the labels that are asked for as well"


@pytest.mark.parametrize(
    ("rows", "have", "need"),
    [
        (((1888, 0, 0), (212, 0, 0)), 0, 30),
        (((1888, 20, 20), (212, 9, 4)), 29, 30),
        (((1888, 60, 59), (212, 3, 1)), 63, 65),
    ],
)
def test_too_few_labels_say_how_many_are_missing(rows, have, need):
    missing = quality_interval(strata(*rows))
    assert isinstance(missing, NotEnoughEvidence)
    assert (missing.have, missing.need, missing.unit) == (have, need, "labels")
    assert f"Label {need - have} more" in missing.remedy


def test_labels_older_than_the_window_are_refused():
    missing = quality_interval(GOLDEN, labels_outside_window=7)
    assert missing.have == 193
    assert "older than the window" in missing.reason


def test_a_range_wider_than_the_charter_accepts_asks_for_labels_or_for_judging():
    missing = quality_interval(GOLDEN, width_max=0.03)
    assert missing.have == 200
    assert missing.need > 200
    hopeless = quality_interval(strata((189, 120, 119), (81, 80, 38)), width_max=0.03)
    assert hopeless.need is None
    assert "Judge more" in hopeless.remedy
    assert quality_interval(GOLDEN, width_max=0.05).n == 200


@pytest.mark.parametrize(("judged", "labelled", "good"), [(10, 11, 0), (10, 5, 6), (-1, 0, 0), (10, 5, -1)])
def test_good_beyond_labelled_beyond_judged_is_refused(judged, labelled, good):
    with pytest.raises(MalformedRecord):
        Stratum(name="pass", judged=judged, labelled=labelled, good=good)


def test_strata_must_be_there_and_have_different_names():
    with pytest.raises(MalformedRecord, match="1 to 16"):
        quality_interval([])
    with pytest.raises(MalformedRecord, match="naming 'pass' twice"):
        quality_interval([*strata((10, 5, 5)), *strata((10, 5, 5))])


def test_the_lattice_is_inside_the_unit_cube_even_and_read_only():
    points = lattice(3)
    assert points.shape == (LATTICE_POINTS, 3)
    assert ((points > 0) & (points < 1)).all()
    assert points.mean(axis=0) == pytest.approx([0.5] * 3, abs=1e-3)
    with pytest.raises(ValueError, match="read-only"):
        points[0, 0] = 0.5


def test_draws_have_the_moments_of_their_distributions():
    assert beta_draws(1, 0, 8.5, 2.5).mean() == pytest.approx(9 / 12, abs=1e-3)
    shares = dirichlet_draws(2, np.array([8.0, 2.0]))
    assert shares.mean(axis=0) == pytest.approx([8.5 / 11, 2.5 / 11], abs=1e-3)
    assert dirichlet_draws(3, np.array([8.0, 1.0, 1.0])).sum(axis=1) == pytest.approx(1.0)
    assert posterior_ends(np.linspace(0, 1, 101), 0.95, "low") == (pytest.approx(0.05), 1.0)


def test_labels_of_turns_that_fail_together_are_worth_as_many_as_their_conversations():
    good = [number >= 15 for number in range(200)]
    talks = [f"talk {number // 5}" for number in range(200)]  # three whole conversations are bad
    together = label_design_effect(good, talks)
    assert (together.clusters, round(together.value)) == (40, 4)
    scattered = label_design_effect(good, [f"talk {number % 40}" for number in range(200)])
    assert 1 <= scattered.value < together.value
    assert label_design_effect(good, [None] * 200).value == 1
    assert label_design_effect(good[:20], talks[:20]).unit == "clusters"
