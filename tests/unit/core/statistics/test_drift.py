# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.feature_extraction.text import TfidfTransformer
from statsmodels.stats.multitest import multipletests

from pilothouse.core.statistics import (
    NotEnoughEvidence,
    TestResult,
    feature_drift,
    psi_test,
    sequence_drift,
    text_drift,
)
from pilothouse.core.statistics.permutation import permutation_p, permuted_memberships
from pilothouse.core.statistics.texts import _counts, text_vectors
from pilothouse.errors import MalformedRecord


def rng(seed=1):
    return np.random.default_rng(seed)


def test_kolmogorov_smirnov_chi_square_and_holm_agree_with_the_reference_libraries():
    r = rng()
    reference = {f"f{i}": r.normal(size=800) for i in range(4)}
    current = {f"f{i}": r.normal(0.1 * i, 1, size=200) for i in range(4)}
    reference["kind"], current["kind"] = (
        list(r.choice(["a", "b", "c"], 800)),
        list(r.choice(["a", "b", "c"], 200, p=[0.5, 0.3, 0.2])),
    )
    drift = feature_drift(reference, current)
    raw = [stats.ks_2samp(reference[f"f{i}"], current[f"f{i}"], method="asymp").pvalue for i in range(4)]
    table = np.array([[side["kind"].count(x) for x in "abc"] for side in (reference, current)])
    raw.append(stats.chi2_contingency(table, correction=False).pvalue)
    assert [c.raw_p for c in drift.features] == pytest.approx(raw, abs=1e-12)
    rejected, adjusted, _, _ = multipletests(raw, 0.05, "holm")
    assert [c.result.p_value for c in drift.features] == pytest.approx(adjusted, abs=1e-12)
    assert {c.name for c in drift.features if c.result.rejected} == set(drift.flagged)
    assert len(drift.flagged) == rejected.sum()


def test_features_without_enough_cases_or_values_are_named_and_do_not_count():
    drift = feature_drift(
        {"few": [1.0] * 20, "constant": [1.0] * 60, "word": ["a"] * 60, "empty": []},
        {"few": [2.0] * 60, "constant": [1.0] * 60, "word": ["a"] * 60, "empty": [1.0] * 60},
        alpha=0.01,
    )
    assert all(isinstance(c.result, NotEnoughEvidence) for c in drift.features)
    assert [c.result.unit for c in drift.features] == ["cases", "distinct values", "distinct values", "cases"]
    assert "1 checks in 100" in drift.guarantee
    assert feature_drift({"w": []}, {"w": []}).flagged == ()
    alone = {"kind": ["a", "b"] * 60}, {"kind": ["a", "a", "b"] * 40}
    beside = feature_drift(*({**one, "few": [1.0]} for one in alone))
    assert beside.features[0] == feature_drift(*alone).features[0], (
        "what was not tested makes no other test stricter"
    )


def test_rare_categories_are_pooled():
    reference = ["a"] * 500 + ["b"] * 490 + [f"rare{i}" for i in range(10)]
    drift = feature_drift({"k": reference}, {"k": ["a"] * 100 + ["b"] * 95 + ["new"] * 5})
    assert isinstance(drift.features[0].result, TestResult)


@pytest.mark.parametrize(
    ("reference", "current", "said"),
    [
        ({"a": [1.0]}, {"b": [1.0]}, "one side only"),
        ({}, {}, "1 to 1000"),
        ({"a": [1.0]}, {"a": ["x"]}, "one kind"),
        ({"a": [1.0, "x"]}, {"a": [1.0]}, "mixture"),
        ({"a": [1.0]}, {"a": [float("nan")]}, r"a\[0\] is nan"),
        ({"a": [1.0]}, {"a": [None]}, "flat array"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(reference, current, said):
    with pytest.raises(MalformedRecord, match=said):
        feature_drift(reference, current)


def test_the_stability_index_is_judged_by_its_distribution():
    r = rng(3)
    p = [
        psi_test(r.multinomial(5_000, [0.1] * 10), r.multinomial(300, [0.1] * 10)).rejected
        for _ in range(400)
    ]
    assert np.mean(p) < 0.09
    moved = psi_test([500] * 10, [60, 60, 30, 30, 30, 30, 30, 30, 0, 0])
    assert moved.rejected
    assert "PSI" in moved.notes[0]


def test_the_stability_index_needs_cases_and_bins():
    assert psi_test([500, 500], [20, 20]).need == 50
    assert psi_test([500, 0], [60, 0]).unit == "distinct values"
    with pytest.raises(MalformedRecord, match="2 bins"):
        psi_test([500, 500], [60, 60, 60])


def questions(n, about, seed):
    words = {
        "bill": ["invoice", "payment", "total", "due", "vendor", "tax"],
        "ship": ["parcel", "courier", "address", "late", "track", "box"],
    }[about]
    r = rng(seed)
    return [" ".join(r.choice(words, 6)) for _ in range(n)]


def test_new_topics_are_seen_and_the_same_texts_are_not():
    old = questions(200, "bill", 1)
    assert text_drift(old, questions(100, "bill", 2), rng()).p_value > 0.01
    moved = text_drift(old, questions(70, "bill", 3) + questions(30, "ship", 4), rng())
    assert moved.rejected
    assert moved.p_value == pytest.approx(1 / 200)
    same = text_drift(old, old, rng(), alpha=0.10)
    assert same.p_value == 1
    assert "same texts" in same.notes[0]
    assert "10 checks in 100" in same.guarantee


def test_the_same_seed_gives_the_same_p():
    old, new = questions(150, "bill", 1), questions(120, "bill", 2)
    assert text_drift(old, new, rng(5)) == text_drift(old, new, rng(5))


def test_the_vectors_are_those_of_the_reference_library():
    old, new = questions(60, "bill", 1), ["", *questions(9, "ship", 2)]
    counts = _counts([*old, *new])
    reference = TfidfTransformer(sublinear_tf=True).fit(counts)
    ours = text_vectors(old, new)
    assert abs(ours.rows - reference.transform(counts)).max() < 1e-9
    assert (ours.empty, ours.cut) == (1, 0)


def test_texts_with_numbers_that_never_come_again_do_not_look_changed():
    """Weights by one window alone are no symmetric function of both: 23 of 60 such p-values were at most 0.05."""
    numbers = np.random.default_rng(5)

    def window():
        return [f"invoice {numbers.integers(2**32)} of supplier {numbers.integers(7)}" for _ in range(100)]

    p = np.array([text_drift(window(), window(), rng(i), permutations=19).p_value for i in range(60)])
    assert (p <= 0.05).sum() <= 7, "60 x 0.05 and two standard errors"
    assert abs(p.mean() - 0.525) < 3 * 0.29 / 60**0.5


def test_long_and_empty_texts_are_counted_and_few_are_not_enough():
    old = questions(120, "bill", 1)
    result = text_drift(old, [*old[:110], "", "x" * 4_001], rng())
    assert any("1 texts were cut" in note for note in result.notes)
    assert any("1 texts have no word" in note for note in result.notes)
    assert text_drift(old, old[:99], rng()).need == 100
    blank = text_drift(["!"] * 100, ["?"] * 100, rng())
    assert "no change of topics" in blank.notes[-1]


def test_conversations_are_permuted_whole():
    old, new = questions(200, "bill", 1), questions(100, "bill", 2)
    groups = ([f"r{i // 4}" for i in range(200)], [f"c{i // 4}" for i in range(100)])
    result = text_drift(old, new, rng(), conversations=groups)
    assert result.n_effective == 25
    with pytest.raises(MalformedRecord, match="one length"):
        text_drift(old, new, rng(), conversations=(groups[0][1:], groups[1]))


def test_other_embeddings_plug_in():
    old, new = ["x"] * 150, ["y"] * 120
    left, right = rng(1).normal(size=(150, 8)), rng(2).normal(0.8, 1, size=(120, 8))
    assert text_drift(old, new, rng(), vectors=(left, right)).rejected
    with pytest.raises(MalformedRecord, match="equal width"):
        text_drift(old, new, rng(), vectors=(left, right[:, :4]))
    with pytest.raises(MalformedRecord, match="150 and 120 rows"):
        text_drift(old, new, rng(), vectors=(left[:10], right))
    right[3, 2] = np.nan
    with pytest.raises(MalformedRecord, match=r"vectors\[153\] is not finite"):
        text_drift(old, new, rng(), vectors=(left, right))


def test_permuting_keeps_groups_together_and_sizes_of_groups():
    rows = permuted_memberships(["a", "a", None], ["a", "b"], 50, rng())
    assert rows[0].tolist() == [0, 0, 0, 1, 1]
    assert (rows[:, 0] == rows[:, 1]).all()
    assert len({tuple(row) for row in rows.tolist()}) > 3
    assert permutation_p(np.array([5.0, 1.0, 1.0, 1.0])) == 0.25


def test_another_order_of_tools_is_seen_and_named():
    old = [["search", "read", "update"]] * 100 + [["search", "read"]] * 100
    same = [["search", "read", "update"]] * 40 + [["search", "read"]] * 40
    other = same[:70] + [["search", "update", "update"]] * 10
    assert not sequence_drift(old, same, rng()).rejected
    result = sequence_drift(old, other, rng(), alpha=0.01)
    assert result.rejected
    assert "'search' then 'update'" in result.notes[0] or "'update' then 'update'" in result.notes[0]
    assert "1 checks in 100" in result.guarantee


def test_sessions_must_be_enough_and_have_tools():
    assert sequence_drift([["a"]] * 49, [["a"]] * 60, rng()).need == 50
    assert sequence_drift([[]] * 60, [[]] * 60, rng()).unit == "pairs of tools"
    with pytest.raises(MalformedRecord):
        sequence_drift([["a"]] * 60, [["a"]] * 60, rng(), permutations=5)


@pytest.mark.parametrize(("n", "reference", "bins"), [(60, 60, 10), (100, 100, 20), (1_000, 5_000, 10)])
def test_the_index_flags_no_more_than_promised_however_few_the_cases(n, reference, bins):
    draws, shares = np.random.default_rng(3), np.full(bins, 1 / bins)
    found = [psi_test(draws.multinomial(reference, shares), draws.multinomial(n, shares)) for _ in range(600)]
    assert sum(one.rejected for one in found) / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5
    assert found[0].guarantee.endswith("whatever the number of cases.")
