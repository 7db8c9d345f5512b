# SPDX-License-Identifier: Apache-2.0
"""Labels of turns of one conversation fail together: with the correlation known, ranges of quality are as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.clusters import DesignEffect, label_design_effect
from pilothouse.core.statistics.quality import Stratum, quality_interval

QUALITY = 0.94
RUNS = 600


def labels(rng, conversations, turns, correlation):
    """Return answers, a row for each conversation: a turn shares its conversation's with chance sqrt(correlation)."""
    shared = rng.random(conversations) < QUALITY
    own = rng.random((conversations, turns)) < QUALITY
    together = rng.random((conversations, turns)) < np.sqrt(correlation)
    return np.where(together, shared[:, None], own).ravel()


@pytest.mark.parametrize(
    ("conversations", "turns", "correlation", "plain_most"),
    [
        (200, 1, 0.0, 1.0),
        (40, 5, 0.1, 0.95),
        (100, 5, 0.3, 0.86),
        (30, 10, 0.3, 0.75),
        (35, 20, 0.1, 0.82),
        (40, 5, 0.5, 0.8),
        (100, 5, 0.7, 0.75),
    ],
)
def test_ranges_hold_the_truth_and_a_floor_at_the_truth_is_seldom_proved(
    conversations, turns, correlation, plain_most
):
    rng = np.random.default_rng([conversations, turns, 417])
    names = np.repeat(np.arange(conversations), turns)
    right = plain_right = proved = 0
    for _ in range(RUNS):
        good = labels(rng, conversations, turns, correlation)
        effect = label_design_effect(good, names)
        assert isinstance(effect, DesignEffect)
        stratum = [Stratum(name="all", judged=100_000, labelled=len(good), good=int(good.sum()))]
        found = quality_interval(stratum, design_effect=effect.value)
        plain = quality_interval(stratum)
        right += found.low <= QUALITY <= found.high
        plain_right += plain.low <= QUALITY <= plain.high
        floor = quality_interval(stratum, level=0.9, design_effect=effect.value)
        proved += floor.low >= QUALITY
    error = 3 * np.sqrt(0.05 * 0.95 / RUNS)
    assert right / RUNS >= 0.95 - error
    assert proved / RUNS <= 0.05 + error
    assert plain_right / RUNS <= plain_most, "counted one by one they are wrong more often than they say"
