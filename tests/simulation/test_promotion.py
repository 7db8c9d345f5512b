# SPDX-License-Identifier: Apache-2.0
"""Six planned looks at the border promote a bad agent in at most 5 %, and a good one soon enough."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from late_module import LateModule

from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.verdict.phases import LOOK_LEVEL, LOOKS_MAX
from pilothouse.core.verdict.requirement import Committed, Floor
from pilothouse.core.verdict.rules import LEVEL, Proof, assess

stats = LateModule("scipy.stats")
FLOOR, CASES, RUNS = 0.95, 400, 4_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)
RULE = Floor(bound=Committed("task_types.x.completion.min"))


def proved(good, level):
    record = Evidence(
        kind="completion",
        agent="a",
        window_from=NOW,
        window_to=NOW,
        n=CASES,
        good=good,
        source=Source(command="simulation"),
        recorded_at=NOW,
    )
    return assess(RULE, FLOOR, record, level=level).proof is Proof.PROVED


def share_promoted(truth, level, seed):
    """Play fresh windows of one agent at each of the planned looks; promoted is whoever passes one."""
    drawn = np.random.default_rng(seed).binomial(CASES, truth, size=(RUNS, LOOKS_MAX))
    passes = {int(good): proved(int(good), level) for good in np.unique(drawn)}
    return np.mean([any(passes[int(good)] for good in run) for run in drawn])


def test_at_the_border_a_false_promotion_is_rare_and_without_the_split_it_is_not():
    tolerance = 3 * np.sqrt(0.05 * 0.95 / RUNS)
    assert share_promoted(FLOOR - 1e-9, LOOK_LEVEL, 1) <= 0.05 + tolerance
    assert share_promoted(FLOOR - 1e-9, LEVEL, 1) > 0.05 + tolerance  # the bound has to be able to fail


def test_a_good_agent_is_promoted():
    assert share_promoted(0.98, LOOK_LEVEL, 2) > 0.99


def test_the_bound_of_a_look_is_that_of_a_second_implementation():
    for good in range(360, CASES + 1):
        lower = stats.beta.ppf(1 - LOOK_LEVEL, good + 0.5, CASES - good + 0.5)
        assert proved(good, LOOK_LEVEL) == (lower >= FLOOR)
