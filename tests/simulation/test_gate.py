# SPDX-License-Identifier: Apache-2.0
"""The gate that decides releases, played against known truths; the whole grid is in benchmarks/evals/gate_simulation.py."""

from __future__ import annotations

import sys

import pytest
from source_tree import ROOT

from pilothouse.core.verdict.release import GateRules

sys.path.insert(0, str(ROOT / "benchmarks" / "evals"))
import gate_simulation as simulation

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "cell",
    [
        simulation.Cell(cases=100, flip_rate=0.06, difference=-0.05),
        simulation.Cell(cases=200, flip_rate=0.10, difference=-0.05),
        simulation.Cell(cases=400, flip_rate=0.15, difference=-0.05),
    ],
    ids=str,
)
def test_a_change_that_is_worse_by_the_margin_is_released_at_most_once_in_twenty(cell):
    assert simulation.exact(cell, GateRules(task_type="t"))[0] <= simulation.FALSE_RELEASE_MAX


@pytest.mark.parametrize(
    "cell",
    [
        simulation.Cell(cases=200, flip_rate=0.10, difference=-0.05, cluster_size=4, correlation=0.3),
        simulation.Cell(cases=400, flip_rate=0.06, difference=-0.05, cluster_size=5, correlation=0.1),
        simulation.Cell(cases=200, flip_rate=0.30, difference=-0.05, baseline_repeats=4),
    ],
    ids=str,
)
def test_clusters_and_a_repeated_baseline_keep_the_error_over_several_looks(cell):
    known = simulation.many(cell, GateRules(task_type="t"), 4000, seed=5)
    assert known[0] <= 0.055 + 3 * (0.05 * 0.95 / 4000) ** 0.5


@pytest.mark.parametrize(
    "cell",
    [
        simulation.Cell(cases=200, flip_rate=0.10, difference=-0.05),
        simulation.Cell(cases=100, flip_rate=0.06, difference=0.0),
    ],
    ids=str,
)
def test_playing_runs_finds_what_following_every_outcome_says(cell):
    rules, runs = GateRules(task_type="t"), 4000
    known, played = simulation.exact(cell, rules), simulation.many(cell, rules, runs, seed=3)
    for share, estimate in zip(known[:2], played[:2], strict=True):
        assert estimate == pytest.approx(share, abs=3.5 * (share * (1 - share) / runs) ** 0.5 + 1e-9)
    assert played[2] == pytest.approx(known[2], rel=0.03)


@pytest.mark.parametrize("spending", ["pocock", "obrien_fleming"])
@pytest.mark.parametrize(
    "cell",
    [
        simulation.Cell(cases=100, flip_rate=0.06, difference=0.0),
        simulation.Cell(cases=200, flip_rate=0.10, difference=-0.05),
        simulation.Cell(cases=200, flip_rate=0.10, difference=-0.05, cluster_size=4, correlation=0.3),
        simulation.Cell(cases=200, flip_rate=0.30, difference=-0.05, baseline_repeats=4),
    ],
    ids=str,
)
def test_the_gate_ends_every_run_as_an_implementation_apart_from_it_does(cell, spending):
    rules = GateRules(task_type="t", spending=spending)
    assert simulation.disagreements(cell, rules, runs=40, seed=11) == 0


def test_stopping_early_saves_forty_percent_when_nothing_changed_and_sixty_when_harm_is_large():
    found = simulation.savings(GateRules(task_type="t"))
    unchanged, harmful = (sum(1 - one[side][2] / one[0] for one in found) / len(found) for side in (1, 2))
    assert unchanged >= simulation.SAVED_UNCHANGED_MIN
    assert harmful >= simulation.SAVED_HARMFUL_MIN
    # A stop that only gives up would save everything: at 400 cases an unchanged version is still released.
    assert {cases: same[0] for cases, same, _ in found}[400] >= 0.94
    assert all(harm[0] <= 0.005 for _, _, harm in found)
