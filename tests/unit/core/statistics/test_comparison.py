# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from pydantic import TypeAdapter
from scipy import optimize, special

from pilothouse.core.statistics import (
    Comparison,
    Decision,
    GateState,
    NotEnoughEvidence,
    PairedNonInferiority,
    SequentialGate,
    spending_bounds,
)
from pilothouse.core.statistics.clusters import (
    cluster_design_effect,
    cluster_indexes,
    cluster_variance,
    giant_cluster,
)
from pilothouse.core.statistics.tango import tango_limits, tango_z
from pilothouse.errors import MalformedRecord

GOLDEN = [
    (0, 1, 44, 0.10, 1.7086, (-0.1181, 0.0594)),
    (6, 6, 200, 0.05, 2.4324, (-0.0383, 0.0383)),
    (10, 14, 200, 0.05, 1.1872, (-0.0714, 0.0298)),
    (3, 5, 100, 0.05, 0.9879, None),
    (20, 35, 400, 0.05, 0.6709, None),
    (0, 0, 200, 0.05, 3.2444, (-0.0188, 0.0188)),
    (0, 10, 200, 0.05, 0.0, None),
    (1, 9, 50, 0.05, -1.8815, (-0.2929, -0.0445)),
]


@pytest.mark.parametrize(("b", "c", "n", "margin", "z", "ends"), GOLDEN)
def test_the_golden_values_of_tango(b, c, n, margin, z, ends):  # noqa: PLR0917 - one row of the table
    # Tango's published intervals are at 95 %, which is that of a test at 2.5 %.
    result = PairedNonInferiority(margin, 0.025).decide(b, c, n)
    assert result.z == pytest.approx(z, abs=5e-5)
    if ends:
        assert (result.difference.low, result.difference.high) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize(("b", "c", "n"), [(0, 0, 60), (0, 0, 70), (3, 5, 200), (10, 14, 400), (2, 40, 300)])
def test_the_interval_is_clear_of_the_margin_exactly_when_it_is_decided(alpha, b, c, n):
    result = PairedNonInferiority(0.05, alpha).decide(b, c, n)
    if isinstance(result, NotEnoughEvidence):
        return
    assert (result.difference.low > -0.05) == (result.decision is Decision.NOT_WORSE)
    assert (result.difference.high < -0.05) == (result.decision is Decision.WORSE)
    assert result.difference.level == pytest.approx(1 - 2 * alpha)


def constrained_z(b, c, n, difference):
    """Score statistic with the nuisance found by numerical maximum likelihood.

    The maximum is where the slope of the likelihood crosses zero, or an end of the range: a search for
    the maximum itself is exact to the root of the machine precision only.
    """

    def likelihood(q):
        p = q + difference
        return float(special.xlogy(b, p) + special.xlogy(c, q) + special.xlogy(n - b - c, 1 - p - q))

    def slope(q):
        return b / (q + difference) + c / q - 2 * (n - b - c) / (1 - 2 * q - difference)

    low, high = max(0.0, -difference), (1 - difference) / 2
    inside = np.nextafter(low, 1), np.nextafter(high, 0)
    places = [low, high]
    if slope(inside[0]) > 0 > slope(inside[1]):
        places = [optimize.brentq(slope, *inside, xtol=1e-15, rtol=1e-14)]
    q = max(places, key=likelihood)
    return (b - c - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference)))


@pytest.mark.parametrize(
    ("b", "c", "n", "margin"),
    [
        (6, 7, 200, 0.05),
        (10, 14, 200, 0.05),
        (3, 5, 100, 0.02),
        (20, 35, 400, 0.10),
        (2, 12, 60, 0.05),
        (0, 1, 44, 0.10),
        (0, 10, 200, 0.05),
        (5, 0, 100, 0.05),
        (0, 0, 200, 0.05),
        (9, 1, 50, 0.30),
    ],
)
def test_the_closed_form_is_the_constrained_maximum_likelihood(b, c, n, margin):
    assert float(tango_z(np.array(float(b)), np.array(float(c)), float(n), margin)) == pytest.approx(
        constrained_z(b, c, n, -margin), abs=1e-6
    )


def test_limits_are_where_the_statistic_meets_the_critical_value():
    low, high = tango_limits(10.0, 14.0, 200.0, 1.96)
    assert float(tango_z(np.array(10.0), np.array(14.0), 200.0, -low)) == pytest.approx(1.96, abs=1e-6)
    assert float(tango_z(np.array(10.0), np.array(14.0), 200.0, -high)) == pytest.approx(-1.96, abs=1e-6)


def test_a_statistic_without_variance_is_zero():
    assert float(tango_z(np.array(0.0), np.array(0.0), 10.0, 0.0)) == 0.0
    assert tango_limits(0.0, 0.0, 10.0, 1.96)[0] < 0 < tango_limits(0.0, 0.0, 10.0, 1.96)[1]


def test_the_three_decisions_and_a_harmless_loss_that_is_proved():
    test = PairedNonInferiority(0.05)
    assert test.decide(6, 6, 200).decision is Decision.NOT_WORSE
    assert test.decide(1, 30, 200).decision is Decision.WORSE
    undecided = test.decide(10, 14, 200)
    assert undecided.decision is Decision.UNDECIDED
    assert undecided.needed.need > 200
    slight = test.decide(5, 60, 4_000)
    assert slight.slightly_worse
    assert not test.decide(6, 6, 200).slightly_worse


def test_other_levels_change_the_sentence():
    assert "10 in 100 releases" in PairedNonInferiority(0.05, 0.10).decide(6, 6, 200).guarantee
    assert "1 in 20" in PairedNonInferiority(0.05).decide(6, 6, 200).guarantee


def test_undecided_where_a_harmless_change_would_be_decided_asks_for_as_many_again():
    needed = PairedNonInferiority(0.05).decide(0, 16, 400).needed
    assert needed.need == 800


@pytest.mark.parametrize(
    ("b", "c", "n", "need"), [(0, 0, 51, 52), (0, 1, 40, 52), (3, 3, 19, 20), (0, 0, 0, 52)]
)
def test_too_few_pairs_say_how_many_are_missing(b, c, n, need):
    missing = PairedNonInferiority(0.05).decide(b, c, n)
    assert isinstance(missing, NotEnoughEvidence)
    assert (missing.have, missing.need, missing.unit) == (n, need, "pairs")


@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (0.5, 0.05), (0.05, 0.5), (0.05, 0.0)])
def test_margins_and_levels_outside_their_range_are_refused(margin, alpha):
    with pytest.raises(MalformedRecord):
        PairedNonInferiority(margin, alpha)


def test_pairs_are_counted_and_duplicates_dropped_or_refused():
    test, base, cand = PairedNonInferiority(0.05), [1] * 190 + [0] * 10, [1] * 195 + [0] * 5
    plain = test.decide_pairs(base, cand)
    assert (plain.wins, plain.losses, plain.n) == (5, 0, 200)
    ids = [f"c{i}" for i in range(200)]
    doubled = test.decide_pairs([*base, 1], [*cand, 1], ids=[*ids, "c0"], clusters=[*ids, "c0"])
    assert (doubled.n, doubled.notes) == (200, ("1 duplicated rows were dropped",))
    assert test.decide_pairs(base, cand, ids=ids).notes == ()
    assert test.decide_pairs([*base, 1], [*cand, 1], ids=[*ids, "c0"]).n == 200
    with pytest.raises(MalformedRecord, match="'c0' with other content"):
        test.decide_pairs([*base, 0], [*cand, 1], ids=[*ids, "c0"])
    with pytest.raises(MalformedRecord, match="one length"):
        test.decide_pairs(base, cand[1:])
    assert isinstance(test.decide_pairs([1] * 10, [1] * 10), NotEnoughEvidence)


def clustered(groups=60, size=5, seed=1):
    rng = np.random.default_rng(seed)
    base = (rng.random(groups * size) < 0.94).astype(int)
    flips = np.repeat(rng.random(groups) < 0.08, size) & (rng.random(groups * size) < 0.7)
    return base, np.where(flips, 1 - base, base), np.repeat(np.arange(groups), size)


def test_clusters_make_the_decision_harder():
    base, cand, names = clustered()
    test = PairedNonInferiority(0.05)
    plain, wide = (
        test.decide_pairs(base, cand),
        test.decide_pairs(base, cand, clusters=[str(x) for x in names]),
    )
    assert wide.design_effect > 1 == plain.design_effect
    assert abs(wide.z) < abs(plain.z)
    assert wide.critical > plain.critical
    assert wide.difference.high - wide.difference.low > plain.difference.high - plain.difference.low
    assert "60 clusters" in wide.notes


def test_clusters_of_one_are_plain_tango_and_a_missing_name_is_a_cluster_of_its_own():
    base, cand, _ = clustered()
    test = PairedNonInferiority(0.05)
    alone = test.decide_pairs(base, cand, clusters=[None] * len(base))
    assert alone.z == test.decide_pairs(base, cand).z
    assert "name no cluster" in alone.notes[0]


def test_few_clusters_and_one_giant_cluster_are_not_enough():
    base, cand, _ = clustered(groups=20, size=10)
    test = PairedNonInferiority(0.05)
    few = test.decide_pairs(base, cand, clusters=list(np.repeat(np.arange(20), 10)))
    assert (few.have, few.need, few.unit) == (20, 30, "clusters")
    giant = test.decide_pairs(base, cand, clusters=["giant"] * 100 + [f"c{i}" for i in range(100)])
    assert giant.need > giant.have
    assert "50 %" in giant.reason


@pytest.mark.parametrize("size", [1, 3])
def test_as_many_clusters_as_are_asked_for_make_a_giant_one_small_enough(size):
    sizes = [100, *[size] * 60]
    need = giant_cluster(np.repeat(np.arange(len(sizes)), sizes)).need

    def grown(clusters):
        all_sizes = sizes + [size] * (clusters - len(sizes))
        return giant_cluster(np.repeat(np.arange(clusters), all_sizes))

    assert grown(need) is None
    assert grown(need - 1) is not None


def test_the_cluster_variance_is_that_of_a_regression_with_clustered_errors():
    base, cand, names = clustered()
    d = (cand - base).astype(float)
    fit = sm.OLS(d, np.ones(len(d))).fit(
        cov_type="cluster", cov_kwds={"groups": names, "use_correction": True}
    )
    factor = (len(d) - 1) / len(d)  # theirs multiplies by (n - 1) / (n - k), which is 1 for one column
    assert cluster_variance(d, cluster_indexes(list(names))) == pytest.approx(
        fit.cov_params()[0, 0] * factor / factor, abs=1e-8
    )


def test_the_design_effect_without_any_flip_comes_from_the_prior():
    effect = cluster_design_effect(np.zeros(200), np.repeat(np.arange(40), 5))
    assert effect.value == pytest.approx(1 + 0.3 * 4)
    assert giant_cluster(np.repeat(np.arange(40), 5)) is None


def test_repeats_save_variance_and_never_more_than_tenfold():
    rng = np.random.default_rng(2)
    base = rng.binomial(8, 0.94, 200) / 8
    result = PairedNonInferiority(0.05).decide_repeats(base, (rng.random(200) < 0.94).astype(int))
    assert isinstance(result, Comparison)
    assert 0.1 <= result.design_effect < 1
    assert isinstance(PairedNonInferiority(0.05).decide_repeats([1.0] * 10, [1] * 10), NotEnoughEvidence)
    with pytest.raises(MalformedRecord):
        PairedNonInferiority(0.05).decide_repeats([1.2] * 30, [1] * 30)


# --- the sequential gate

BOUNDS = {
    ("pocock", 5): (2.176, 2.144, 2.113, 2.090, 2.071),
    ("pocock", 10): (2.412, 2.363, 2.317, 2.280, 2.250, 2.225, 2.204, 2.187, 2.171, 2.158),
    ("obrien_fleming", 5): (4.738, 3.160, 2.437, 2.005, 1.708),
    ("obrien_fleming", 10): (6.894, 4.738, 3.760, 3.170, 2.767, 2.470, 2.237, 2.048, 1.890, 1.755),
}


@pytest.mark.parametrize(("kind", "looks"), BOUNDS)
def test_the_spending_bounds_of_the_table(kind, looks):
    times = tuple(j / looks for j in range(1, looks + 1))
    assert spending_bounds(times, kind) == pytest.approx(BOUNDS[kind, looks], abs=0.003)


def test_simulated_paths_cross_as_often_as_alpha_says():
    rng = np.random.default_rng(20261121)
    bounds = np.array(spending_bounds(tuple(j / 10 for j in range(1, 11))))
    crossed = 0
    for _ in range(20):
        z = np.cumsum(rng.standard_normal((20_000, 10)), axis=1) / np.sqrt(np.arange(1, 11))
        crossed += int((z > bounds).any(axis=1).sum())
    assert crossed / 400_000 == pytest.approx(0.05, abs=0.0015)


def test_uneven_looks_keep_what_is_spent():
    assert spending_bounds((0.2, 0.5))[0] == spending_bounds((0.2, 0.9))[0]
    for times in ((0.0, 1.0), (-0.5, 1.0), (0.5, 0.5), (0.5, 0.4), (0.5, 1.01)):
        with pytest.raises(MalformedRecord, match="increasing shares"):
            spending_bounds(times)


@pytest.mark.parametrize("times", [(0.5, 0.5), (0.0,), (1.1,), ()])
def test_times_that_do_not_increase_are_refused(times):
    with pytest.raises(MalformedRecord):
        spending_bounds(times)


def run(gate, looks):
    state, result = gate.start(), None
    for b, c, n in looks:
        state, result = gate.update(state, b, c, n)
    return state, result


def test_the_gate_releases_as_soon_as_the_bound_is_crossed_and_then_ends():
    gate = SequentialGate(0.05, 400)
    state, result = run(gate, [(1, 2, 40), (2, 2, 160)])
    assert (result.decision, result.stop, result.looks) == (Decision.NOT_WORSE, True, 2)
    with pytest.raises(MalformedRecord, match="ended at 160 pairs with not_worse"):
        gate.update(state, 3, 2, 200)
    adapter = TypeAdapter(GateState)
    assert adapter.validate_json(adapter.dump_json(state)) == state


def test_the_gate_proves_harm_stops_when_futile_and_ends_undecided():
    assert run(SequentialGate(0.05, 400), [(0, 30, 160)])[1].decision is Decision.WORSE
    state, futile = run(SequentialGate(0.05, 400), [(10, 26, 300)])
    assert (futile.decision, futile.stop) == (Decision.UNDECIDED, True)
    assert "futile" in futile.notes[0]
    assert state.stopped
    _, end = run(SequentialGate(0.05, 400), [(20, 30, 400)])
    assert (end.decision, end.stop) == (Decision.UNDECIDED, True)
    _, on = run(SequentialGate(0.05, 400, futility=0.0), [(10, 26, 300)])
    assert not on.stop


def test_a_first_look_needs_twenty_pairs_and_no_look_may_be_wrong():
    gate = SequentialGate(0.05, 400)
    state, missing = gate.update(gate.start(), 0, 0, 19)
    assert isinstance(missing, NotEnoughEvidence)
    assert state == gate.start()
    with pytest.raises(MalformedRecord):
        gate.update(GateState(pairs=(40,)), 0, 0, 40)
    with pytest.raises(MalformedRecord, match="at most 20 looks"):
        gate.update(GateState(pairs=tuple(range(20, 40))), 1, 1, 100)
    with pytest.raises(MalformedRecord):
        SequentialGate(0.05, 400, looks=21)
    with pytest.raises(MalformedRecord, match="pocock"):
        SequentialGate(0.05, 400, spending="other")
    assert SequentialGate(0.05, 100, looks=10).planned_pairs() == (20, 30, 40, 50, 60, 70, 80, 90, 100)
