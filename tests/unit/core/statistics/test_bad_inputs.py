# SPDX-License-Identifier: Apache-2.0
"""Bad inputs, kind by kind: a defined answer or a clear error, never a silent number."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from pilothouse.core.statistics import (
    CanaryTest,
    DayCounts,
    DayStratum,
    DropDetector,
    Estimate,
    NotEnoughEvidence,
    PairedNonInferiority,
    SequentialGate,
    Stratum,
    agreement,
    anytime_interval,
    choose_threshold,
    failure_upper_bound,
    feature_drift,
    fit_calibrator,
    jeffreys_interval,
    judge_card,
    mean_bounds,
    pass_hat_k,
    psi_test,
    quality_interval,
    sequence_drift,
    text_drift,
    weighted_score,
)
from pilothouse.errors import LimitExceeded, MalformedRecord

NAN, INF = float("nan"), float("inf")


def rng():
    return np.random.default_rng(1)


def stratum(judged=100, labelled=40, good=30, name="all"):
    return Stratum(name=name, judged=judged, labelled=labelled, good=good)


def day(number=1, *, probability=0.1, good=8, bad=2, predicted=0.9):
    one = DayStratum(
        name="all",
        judged=100,
        labelled_good=good,
        labelled_bad=bad,
        probability=probability,
        predicted=predicted,
    )
    return DayCounts(day=date(2026, 1, 1) + timedelta(days=number), strata=(one,))


@pytest.mark.parametrize(
    "nothing",
    [
        lambda: jeffreys_interval(0, 0),
        lambda: failure_upper_bound(0, 0),
        lambda: anytime_interval(0, 0),
        lambda: mean_bounds([]),
        lambda: quality_interval([stratum(0, 0, 0)]),
        lambda: quality_interval([stratum(2_000, 0, 0)]),
        lambda: judge_card([stratum(0, 0, 0, "pass"), stratum(0, 0, 0, "fail")]),
        lambda: agreement(((0, 0), (0, 0))),
        lambda: PairedNonInferiority(0.05).decide(0, 0, 0),
        lambda: PairedNonInferiority(0.05).decide_pairs([], []),
        lambda: PairedNonInferiority(0.05).decide_repeats([], []),
        lambda: PairedNonInferiority(0.05).decide_pairs([], [], clusters=[]),
        lambda: choose_threshold([], []),
        lambda: fit_calibrator([], []),
        lambda: pass_hat_k([], [], 1),
        lambda: psi_test([0, 0], [0, 0]),
        lambda: text_drift([], [], rng()),
        lambda: sequence_drift([], [], rng()),
        lambda: feature_drift({"a": []}, {"a": []}).features[0].result,
    ],
)
def test_nothing_is_not_enough_evidence_and_says_what_is_needed(nothing):
    missing = nothing()
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.have == 0
    assert missing.need >= 1
    assert missing.remedy


@pytest.mark.parametrize(
    "single",
    [
        lambda: quality_interval([stratum(1, 1, 1)]),
        lambda: PairedNonInferiority(0.05).decide_pairs([1], [0]),
        lambda: PairedNonInferiority(0.05).decide_pairs([1] * 60, [0] * 60, clusters=["only"] * 60),
        lambda: mean_bounds([1.0]),
        lambda: choose_threshold([0.9], [0]),
        lambda: fit_calibrator([1.0], [1]),
        lambda: pass_hat_k([1], [1], 1),
        lambda: text_drift(["a"], ["b"], rng()),
        lambda: sequence_drift([["a"]], [["b"]], rng()),
        lambda: feature_drift({"a": [1.0]}, {"a": [2.0]}).features[0].result,
    ],
)
def test_a_single_item_is_not_enough_either(single):
    missing = single()
    assert isinstance(missing, NotEnoughEvidence)
    assert missing.need > missing.have == 1


def test_without_a_judge_thirty_labels_give_the_plain_interval():
    alone, plain = quality_interval([stratum(40, 40, 30)]), jeffreys_interval(30, 40)
    assert (alone.low, alone.high) == pytest.approx((plain.low, plain.high), abs=0.001)


def test_all_pass_and_all_fail_are_intervals_and_never_points():
    good, bad = quality_interval([stratum(2_100, 200, 200)]), quality_interval([stratum(2_100, 200, 0)])
    assert good.low == pytest.approx(0.987, abs=0.001)
    assert good.high == 1.0
    assert bad.low == 0.0
    assert bad.high == pytest.approx(0.013, abs=0.001)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: mean_bounds([*[1.0] * 120, NAN]), r"values\[120\] is nan"),
        (lambda: mean_bounds([-INF, *[1.0] * 120]), r"values\[0\] is -inf"),
        (lambda: feature_drift({"a": [1.0, NAN]}, {"a": [1.0]}), r"a\[1\] is nan"),
        (lambda: choose_threshold([0.1, NAN], [0, 1]), r"confidence\[1\] is nan"),
        (lambda: choose_threshold([0.1, 1.5], [0, 1]), r"confidence\[1\] is 1.5"),
        (lambda: choose_threshold([0.1, 0.5], [0, 2]), r"wrong\[1\] is 2"),
        (lambda: fit_calibrator([0.1, INF], [0, 1]), r"\[1\] is inf"),
        (lambda: PairedNonInferiority(0.05).decide_pairs([1, 2], [1, 1]), r"baseline\[1\] is 2"),
        (lambda: PairedNonInferiority(0.05).decide_pairs([1, 1], [1, 0.5]), "candidate"),
        (lambda: PairedNonInferiority(0.05).decide_repeats([0.5, NAN], [1, 1]), r"baseline\[1\] is nan"),
        (lambda: CanaryTest(0.05).update(CanaryTest(0.05).start(), [0.0, NAN]), r"\[1\] is nan"),
        (lambda: PairedNonInferiority(0.05).decide(-1, 0, 50), "b is -1"),
        (lambda: stratum(10, 11, 5), "labelled is 11"),
        (lambda: stratum(10, 8, 9), "good is 9"),
        (lambda: stratum(-1, 0, 0), "judged is -1"),
        (lambda: psi_test([1, -2], [1, 2]), r"ref_counts\[1\] is -2"),
        (lambda: day(good=-1), "labelled_good is -1"),
        (lambda: day(predicted=NAN), "predicted is nan"),
        (lambda: day(probability=1.1), "probability is 1.1"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(wrong, said):
    with pytest.raises(MalformedRecord, match=said):
        wrong()


@pytest.mark.parametrize(
    "unequal",
    [
        lambda: PairedNonInferiority(0.05).decide_pairs([1, 1], [1]),
        lambda: PairedNonInferiority(0.05).decide_pairs([1, 1], [1, 1], clusters=["a"]),
        lambda: PairedNonInferiority(0.05).decide_pairs([1, 1], [1, 1], ids=["a"]),
        lambda: PairedNonInferiority(0.05).decide_repeats([1.0], [1, 1]),
        lambda: choose_threshold([0.5], [0, 1]),
        lambda: fit_calibrator([0.5], [0, 1]),
        lambda: pass_hat_k([1], [1, 1], 1),
        lambda: psi_test([1, 2], [1, 2, 3]),
    ],
)
def test_arrays_of_unequal_length_are_refused(unequal):
    with pytest.raises(MalformedRecord):
        unequal()


def test_duplicated_ids_count_once_and_contradicting_ones_are_named():
    ids = [f"c{i}" for i in range(60)]
    twice = PairedNonInferiority(0.05).decide_pairs([1] * 120, [1] * 120, ids=ids * 2)
    assert twice.n == 60
    assert "60 duplicated rows" in twice.notes[0]
    with pytest.raises(MalformedRecord, match="'c0'"):
        PairedNonInferiority(0.05).decide_pairs([1] * 61, [1] * 60 + [0], ids=[*ids, "c0"])


def test_a_label_of_unknown_chance_is_refused_for_scores_and_detectors_but_not_for_the_interval():
    with pytest.raises(MalformedRecord, match="it is unknown"):
        day(probability=0.0)
    assert isinstance(weighted_score(day(probability=0.0, good=0, bad=0)), NotEnoughEvidence)
    assert isinstance(quality_interval([stratum(100, 40, 30)]), Estimate)


def test_days_again_out_of_order_with_another_chance_or_after_a_gap():
    detector = DropDetector(m0=0.85)
    state, _ = detector.update(detector.start(), day(1))
    assert detector.update(state, day(1))[0] == state
    for other in (day(1, good=7), day(1, probability=0.2), day(0)):
        with pytest.raises(MalformedRecord):
            detector.update(state, other)
    for number in (2, 5):
        state, reading = detector.update(state, day(number))
    assert "2 days before" in reading.notes[0]


def test_clusters_of_one_few_clusters_and_a_giant_one():
    base, candidate = [1] * 190 + [0] * 10, [1] * 200
    test = PairedNonInferiority(0.05)
    own = test.decide_pairs(base, candidate, clusters=[f"c{i}" for i in range(200)])
    assert own.z == test.decide_pairs(base, candidate).z
    for names in ([f"c{i % 29}" for i in range(200)], ["giant"] * 60 + [f"c{i}" for i in range(140)]):
        assert test.decide_pairs(base, candidate, clusters=names).unit == "clusters"
    unnamed = test.decide_pairs(base, candidate, clusters=[None] * 100 + [f"c{i // 2}" for i in range(100)])
    assert "100 cases name no cluster" in unnamed.notes[0]


@pytest.mark.parametrize(
    "plan",
    [
        lambda: DropDetector(m0=0.01),
        lambda: DropDetector(m0=0.999),
        lambda: PairedNonInferiority(0.0),
        lambda: PairedNonInferiority(0.5),
        lambda: PairedNonInferiority(0.05, 0.0),
        lambda: PairedNonInferiority(0.05, 0.5),
        lambda: SequentialGate(0.05, 400, looks=21),
        lambda: CanaryTest(0.5),
    ],
)
def test_plans_outside_their_range_are_refused_with_the_range(plan):
    with pytest.raises(MalformedRecord, match=r"\d"):
        plan()


def test_a_constant_feature_an_empty_text_and_equal_windows():
    assert isinstance(
        feature_drift({"a": [1.0] * 60}, {"a": [1.0] * 60}).features[0].result, NotEnoughEvidence
    )
    words = [f"word{i % 7} other{i % 5}" for i in range(120)]
    same = text_drift(words, words, rng())
    assert same.p_value == 1.0
    assert "both windows hold the same texts" in same.notes
    blank = text_drift(words, [*words[:-1], ""], rng())
    assert any("1 texts have no word" in note for note in blank.notes)


def test_more_items_than_memory_should_hold_are_refused():
    many = np.broadcast_to(np.array(0), 10_000_001)
    with pytest.raises(LimitExceeded):
        PairedNonInferiority(0.05).decide_pairs(many, many)
