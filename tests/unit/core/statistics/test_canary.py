# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from pydantic import TypeAdapter

from pilothouse.core.statistics import CanaryDecision, CanaryState, CanaryTest, NotEnoughEvidence, pass_hat_k
from pilothouse.errors import MalformedRecord


def draws(difference, n=1_000, flips=0.06, seed=1):
    return np.random.default_rng(seed).choice(
        [1.0, -1.0, 0.0], p=[(flips + difference) / 2, (flips - difference) / 2, 1 - flips], size=n
    )


def test_looking_after_each_difference_gives_the_same_decision_and_state():
    test, d = CanaryTest(0.05), draws(0.0, 400)
    whole_state, whole = test.update(test.start(), d)
    state, adapter = test.start(), TypeAdapter(CanaryState)
    for part in np.array_split(d, 37):
        state, step = test.update(adapter.validate_json(adapter.dump_json(state)), part)
    assert (step.decision, step.decided_n) == (whole.decision, whole.decided_n)
    assert step.e_fine == pytest.approx(whole.e_fine)
    assert (step.difference.low, step.difference.high) == pytest.approx(
        (whole.difference.low, whole.difference.high)
    )
    assert whole_state.n == 400


def test_no_change_is_accepted_and_harm_is_found():
    test = CanaryTest(0.05)
    fine, harm = (
        test.update(test.start(), draws(0.0))[1],
        test.update(test.start(), draws(-0.15, flips=0.2))[1],
    )
    assert fine.decision is CanaryDecision.NOT_WORSE
    assert harm.decision is CanaryDecision.HARMFUL
    assert harm.difference.high < 0
    assert fine.difference.low < 0 < fine.difference.high


def test_a_decision_stays_when_the_wind_turns():
    test = CanaryTest(0.05)
    state, _ = test.update(test.start(), np.zeros(150))
    state, reading = test.update(state, np.full(30, -1.0))
    assert reading.decision is CanaryDecision.NOT_WORSE


def test_nothing_yet_is_undecided_without_a_number():
    test = CanaryTest(0.05, alpha=0.10)
    _, reading = test.update(test.start(), [])
    assert (reading.decision, reading.n, reading.difference) == (CanaryDecision.UNDECIDED, 0, None)
    assert "10 in 100" in reading.guarantee
    assert reading.threshold == pytest.approx(10)


@pytest.mark.parametrize(
    ("margin", "alpha", "tolerance"), [(0.0, 0.05, 0.02), (0.05, 0.6, 0.02), (0.05, 0.05, 0.2)]
)
def test_plans_outside_their_range_are_refused(margin, alpha, tolerance):
    with pytest.raises(MalformedRecord):
        CanaryTest(margin, alpha, tolerance)


def test_a_difference_beyond_one_is_refused():
    with pytest.raises(MalformedRecord, match=r"differences\[1\]"):
        CanaryTest(0.05).update(CanaryTest(0.05).start(), [0.0, 1.5])


# --- pass^k


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_pass_hat_k_is_the_share_of_subsets_that_pass(k):
    rng = np.random.default_rng(4)
    runs = [(rng.random(int(rng.integers(5, 9))) < 0.8).astype(int) for _ in range(40)]
    brute = np.mean([np.mean([all(r[list(s)]) for s in combinations(range(len(r)), k)]) for r in runs])
    e = pass_hat_k([int(r.sum()) for r in runs], [len(r) for r in runs], k)
    assert e.value == pytest.approx(brute, abs=1e-12)
    assert e.low <= e.value <= e.high


@pytest.mark.parametrize(("k", "published"), [(1, 0.420), (2, 0.273), (3, 0.220), (4, 0.200)])
def test_pass_hat_k_gives_the_published_figures_of_tau_bench(k, published):
    # gpt-4o, airline, 50 tasks of four trials each: how many tasks came out good so often.
    successes = [good for good, tasks in enumerate((14, 12, 10, 4, 10)) for _ in range(tasks)]
    assert pass_hat_k(successes, [4] * 50, k).value == pytest.approx(published, abs=5e-4)


def test_clusters_are_what_the_interval_counts():
    successes, trials = [4] * 60 + [1] * 60, [4] * 120
    families = [f"f{i // 2}" for i in range(120)]
    plain, wide = pass_hat_k(successes, trials, 2), pass_hat_k(successes, trials, 2, clusters=families)
    assert (wide.n, wide.n_effective) == (120, 60)
    assert wide.high - wide.low > plain.high - plain.low


def test_cases_that_are_all_alike_get_the_jeffreys_interval():
    perfect, none = pass_hat_k([4] * 50, [4] * 50, 4), pass_hat_k([0] * 50, [4] * 50, 4)
    assert perfect.high == 1 > perfect.low > 0.9
    assert none.low == 0 < none.high < 0.1
    half = pass_hat_k([1] * 50, [2] * 50, 1)
    assert half.low < 0.5 < half.high


def test_pass_hat_k_refuses_cases_that_cannot_say_and_few_clusters():
    assert isinstance(pass_hat_k([3] * 29, [4] * 29, 2), NotEnoughEvidence)
    with pytest.raises(MalformedRecord, match=r"trials\[1\] is 2; allowed: at least k = 3"):
        pass_hat_k([3, 2], [3, 2], 3)
    with pytest.raises(MalformedRecord, match=r"successes\[0\] is 5"):
        pass_hat_k([5], [4], 3)


@pytest.mark.parametrize(
    ("families", "size", "solved"), [(60, 1, 0.95), (100, 1, 0.95), (200, 1, 0.9), (40, 5, 0.9)]
)
def test_reliability_at_the_truth_is_seldom_proved_above_it(families, size, solved):
    draws, runs = np.random.default_rng(8), 600
    proved, cases = 0, families * size
    names = np.repeat(np.arange(families), size).tolist()
    for _ in range(runs):
        alike = np.repeat(draws.random(families) < solved, size)
        own, together = draws.random(cases) < solved, draws.random(cases) < 0.5**0.5
        successes = np.where(np.where(together, alike, own), 3, 2)
        proved += pass_hat_k(successes, [3] * cases, 3, names, level=0.9).low >= solved
    assert proved / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5, (
        "a t interval proved it in 11 to 19 of 100"
    )


def test_pass_hat_k_of_one_family_that_holds_most_cases_is_not_said():
    families = ["large"] * 40 + [f"f{n}" for n in range(35)]
    found = pass_hat_k([4, 3, 0] * 25, [4] * 75, 2, families)
    assert isinstance(found, NotEnoughEvidence)
    assert "holds 53 % of the cases" in found.reason
