# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from pilothouse.core.verdict.release import CaseResult
from pilothouse.core.verdict.release_tuning import GAP_MAX, judge_tuning, split_gap
from pilothouse.core.verdict.verdict import Status


@cache
def split(good, n, *, cluster=1, name="g"):
    return [
        CaseResult(case_id=f"{name}{i}", cluster=f"{name}{i // cluster}", candidate=(i < good,))
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("gate", "sealed"),
    [((196, 200), (40, 50)), ((90, 90), (30, 30)), ((150, 200), (39, 50)), ((0, 20), (1, 20))],
)
def test_the_interval_is_the_one_an_independent_library_computes(gate, sealed):
    found = split_gap(split(*gate), split(*sealed, name="s"))
    low, high = confint_proportions_2indep(*gate, *sealed, method="newcomb", alpha=0.05)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


@pytest.mark.parametrize(("n_gate", "n_sealed", "rate"), [(120, 40, 0.9), (400, 100, 0.94), (90, 30, 0.75)])
def test_an_agent_that_is_better_by_what_is_accepted_is_called_tuned_once_in_twenty(n_gate, n_sealed, rate):
    rng = np.random.default_rng(7)
    counts, times = np.unique(
        np.stack(
            [rng.binomial(n_gate, rate + GAP_MAX, 20_000), rng.binomial(n_sealed, rate, 20_000)], axis=1
        ),
        axis=0,
        return_counts=True,
    )
    alarms = sum(
        int(many)
        for (gate, sealed), many in zip(counts, times, strict=True)
        if split_gap(split(gate, n_gate), split(sealed, n_sealed, name="s")).is_tuned
    )
    assert alarms / 20_000 <= 0.05


def test_a_proved_advantage_is_at_risk_and_names_the_sealed_cases_that_failed():
    gap = split_gap(split(196, 200), split(40, 50, name="s"))
    item = judge_tuning(gap, ["s41", "s42"])
    assert item.status is Status.AT_RISK
    assert item.items == ("s41", "s42")
    assert item.sentence.endswith("tuned to the cases that judge it")
    assert item.low > item.bound == 2.0


def test_an_advantage_that_is_not_proved_is_no_item_and_says_what_would_not_show():
    gap = split_gap(split(87, 90), split(28, 30, name="s"))
    assert judge_tuning(gap, []) is None
    assert "no sign of tuning, and up to " in gap.sentence


def test_clusters_are_charged_and_a_split_without_a_score_says_nothing():
    alone, together = split(40, 50, name="s"), split(40, 50, cluster=5, name="s")
    assert split_gap(split(196, 200), together).low < split_gap(split(196, 200), alone).low
    assert split_gap(split(1, 1), [CaseResult(case_id="x", cluster="x", candidate=(None,))]) is None
