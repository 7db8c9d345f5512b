# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.assignment import assignment_p_value, excess_p_value
from pilothouse.core.verdict.rollout import BUCKETS, arm_of, bucket_of
from pilothouse.errors import UsageError

VECTORS = [
    (("exp-1", "user-1", ""), 8835),
    (("exp-1", "user-2", ""), 3873),
    (("exp-2", "user-1", ""), 6732),
]
"""Published: an implementation in another language gives the same."""


@pytest.mark.parametrize(("given", "bucket"), VECTORS)
def test_published_vectors(given, bucket):
    experiment, unit, salt = given
    assert bucket_of(experiment, unit, salt=salt) == bucket


def test_lengths_keep_neighbouring_ids_apart():
    assert bucket_of("ab", "c") != bucket_of("a", "bc")


def test_buckets_are_uniform_over_a_hundred_thousand_units():
    counts = [0] * 100
    units = 100_000
    for number in range(units):
        counts[bucket_of("e", f"u{number}") * 100 // BUCKETS] += 1
    expected = units / 100
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    # 99 degrees of freedom: .999 quantile is 148.2.
    assert statistic < 148.2


def test_a_ramp_never_moves_a_unit_back():
    shares = (0.01, 0.05, 0.25, 0.5, 1.0)
    for number in range(2_000):
        arms = [arm_of("e", f"u{number}", share=share) for share in shares]
        assert arms == sorted(arms)  # "baseline" sorts before "candidate"
    assert arm_of("e", "u", share=0.0) == "baseline"


def test_events_that_fall_to_one_arm_more_often_than_chance_explains_are_seen():
    assert excess_p_value(0, 40, share=0.5) == 1.0
    assert excess_p_value(1, 1, share=0.05) == pytest.approx(0.05)
    assert excess_p_value(20, 40, share=0.5) > 0.5
    assert excess_p_value(34, 40, share=0.5) < 0.001


def test_another_salt_mixes_anew():
    same = sum(
        arm_of("e", f"u{n}", share=0.5) == arm_of("e", f"u{n}", share=0.5, salt="b") for n in range(2_000)
    )
    assert 900 < same < 1_100


def test_a_sound_assignment_is_called_broken_at_no_look_more_often_than_promised():
    """The chi-squared test at each of 180 daily looks refused one sound experiment in fifty where one in a thousand is promised."""
    draw, runs, refused = np.random.default_rng(1), 150, 0
    for _ in range(runs):
        candidate = np.cumsum(draw.binomial(300, 0.05, 180))
        looks = zip(candidate.tolist(), range(300, 300 * 181, 300), strict=True)
        refused += any(assignment_p_value(c, n - c, share=0.05) < 0.001 for c, n in looks)
    assert refused <= 1


def test_a_broken_assignment_is_seen_and_an_even_one_is_not():
    assert assignment_p_value(5_000, 5_050, share=0.5) > 0.1
    assert assignment_p_value(5_000, 5_600, share=0.5) < 0.001
    assert assignment_p_value(0, 0, share=0.5) == 1.0
    for share in (0.0, 1.0, 1.5):
        with pytest.raises(UsageError):
            assignment_p_value(1, 1, share=share)
    with pytest.raises(UsageError):
        arm_of("e", "u", share=1.5)
