# SPDX-License-Identifier: Apache-2.0
"""Labels weighted by stratum become counts that never say more: simulated truth, and floors that are false."""

from __future__ import annotations

import numpy as np
import pytest

from pilothouse.core.statistics.intervals import jeffreys_lower, jeffreys_upper
from pilothouse.core.statistics.quality import Stratum, quality_interval
from pilothouse.workflows.labels.label_evidence import as_counts

WEEK, RUNS = 2_000, 60
WORLDS = {
    "the judge knows": ((0.9, 0.985), (0.1, 0.45)),
    "the judge guesses": ((0.7, 0.9), (0.3, 0.86)),
    "hardly anything fails": ((0.97, 0.995), (0.03, 0.6)),
}
"""Share of tasks and share of good ones, of what the judge passes and of what it fails."""


def drawn(rng, world, labels=(70, 70)):
    """Return a week as it is labelled: each stratum as often, whatever its size."""
    strata, good_tasks = [], 0
    for name, (share, rate), count in zip(("pass", "fail"), WORLDS[world], labels, strict=True):
        tasks = round(share * WEEK)
        good = rng.random(tasks) < rate
        good_tasks += int(good.sum())
        chosen = rng.permutation(good)[: min(count, tasks)]
        strata.append(Stratum(name=name, judged=tasks, labelled=len(chosen), good=int(chosen.sum())))
    return good_tasks / WEEK, quality_interval(strata)


@pytest.mark.parametrize("world", WORLDS)
def test_counts_cover_the_truth_as_often_as_they_say_and_never_prove_more(world):
    rng = np.random.default_rng(20_261_128)
    truth = sum(share * rate for share, rate in WORLDS[world])
    covered = false_floors = 0
    for _ in range(RUNS):
        of_week, estimate = drawn(rng, world)
        n, good = as_counts(estimate)
        low, high = jeffreys_lower(good, n, 0.975), jeffreys_upper(good, n, 0.975)
        assert low <= estimate.low + 1e-9, "no floor is proved that the strata do not prove"
        assert high >= estimate.high - 1e-9
        assert 1 <= n <= 8 * estimate.n
        covered += low <= truth <= high
        false_floors += jeffreys_lower(good, n, 0.95) > of_week
    assert covered >= 52, "of 60 at .95: fewer has a chance of 1 in 350"
    assert false_floors <= 8, "of 60 at .05: more has a chance of 1 in 350"
