# SPDX-License-Identifier: Apache-2.0
"""What one record proves about one rule."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from pilothouse.core.evidence.evidence import Evidence, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.framework import requirement_named
from pilothouse.core.verdict.requirement import (
    AtLeast,
    Ceiling,
    Census,
    Count,
    Fact,
    Floor,
    MeanMax,
    Paired,
    Quantile,
    Zero,
)
from pilothouse.core.verdict.rules import assess
from pilothouse.core.verdict.sentence import rule_in_words

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def record(**fields):
    values = {
        "kind": "completion",
        "agent": "triage",
        "window_from": DAY,
        "window_to": DAY,
        "source": Source(command="x"),
        "recorded_at": DAY,
    }
    return Evidence(**{**values, **fields})


def rate(good, n, unknown=0):
    return record(n=n, good=good, counts={"unknown": unknown})


def amount(n, value, low=None, high=None, **counts):
    return record(
        kind="cost_per_task", n=n, value=value, low=low, high=high, counts=counts, detail="parts missing."
    )


def test_a_floor_is_proved_by_the_one_sided_lower_bound():
    found = assess(Floor(bound=0.95), 0.95, rate(1_164, 1_200))
    assert found.proof == "proved"
    assert found.n_needed is None


def test_a_floor_in_between_is_open_and_says_how_many_cases_would_do():
    found = assess(Floor(bound=0.95), 0.95, rate(49, 50))
    assert (found.proof, found.n, found.n_needed > 50) == ("open", 50, True)
    assert (round(found.low, 3), round(found.high, 3)) == (0.910, 0.998)


def test_a_floor_that_the_rate_does_not_reach_can_not_be_proved_by_more_of_it():
    assert assess(Floor(bound=0.95), 0.95, rate(47, 50)).n_needed is None


def test_a_finished_run_is_breached_sooner_than_a_stream():
    result = rate(176, 200)
    assert assess(Floor(bound=0.92), 0.92, result).proof == "breached"
    assert assess(Floor(bound=0.92, stream=True), 0.92, result).proof == "open"
    assert assess(Floor(bound=0.92, stream=True), 0.92, rate(880, 1_000)).proof == "breached"


def test_what_is_unknown_helps_neither_side():
    assert assess(Floor(bound=0.9), 0.9, rate(960, 1_000)).proof == "proved"
    found = assess(Floor(bound=0.9), 0.9, rate(860, 1_000, unknown=140))
    assert (found.proof, found.value, found.n) == ("open", 1.0, 860)
    assert found.why == "140 of 1,000 do not say how they ended"
    assert assess(Floor(bound=0.9), 0.9, rate(500, 1_000, unknown=140)).proof == "breached"


def test_answers_that_nobody_checked_prove_no_zero():
    streamed = rate(100, 130, unknown=30).model_copy(update={"kind": "output_schema"})
    found = assess(Zero(n=59), 0.0, streamed)
    assert found.proof == "open"
    assert found.why == "30 of 130 were streamed, so that nobody held them against the schema"


def test_wrong_answers_that_may_have_gone_out_alone_prove_no_ceiling():
    rule = Ceiling(bound=0.03, stream=True)
    few = rate(995, 1_000, unknown=5).model_copy(update={"kind": "routing.audit"})
    many = rate(820, 1_000, unknown=180).model_copy(update={"kind": "routing.audit"})
    assert (assess(rule, 0.03, few).proof, assess(rule, 0.03, many).proof) == ("proved", "open")
    assert assess(rule, 0.03, many).why.startswith("180 of 1,000 were wrong and state no confidence")


@pytest.mark.parametrize("rule", [Floor(bound=0.9), Ceiling(bound=0.1)])
def test_the_cases_named_decide_although_some_do_not_say_how_they_ended(rule):
    found = assess(rule, rule.bound, rate(93, 100, unknown=4))
    assert (found.proof, found.n) == ("open", 96)
    times = math.ceil(found.n_needed / 96)
    assert times > 1
    proved = assess(rule, rule.bound, rate(93 * times, 100 * times, unknown=4 * times))
    assert proved.proof == "proved"
    many = assess(rule, rule.bound, rate(86, 100, unknown=14))
    assert (many.proof, many.n_needed) == ("open", None)


@pytest.mark.parametrize("rule", [Floor(bound=0.9), Ceiling(bound=0.1), Zero(n=59)])
def test_when_nothing_says_how_it_ended_nothing_is_proved(rule):
    found = assess(rule, 0.5, rate(0, 10, unknown=10))
    assert (found.proof, found.value, found.n) == ("open", None, 0)


def test_a_floor_of_one_is_never_proved():
    found = assess(Floor(bound=1.0), 1.0, rate(100, 100))
    assert (found.proof, found.share_lost, found.n_needed) == ("open", math.inf, None)


def test_a_ceiling_is_proved_by_the_upper_and_breached_by_the_lower_bound():
    assert assess(Ceiling(bound=0.02), 0.02, rate(995, 1_000)).proof == "proved"
    assert assess(Ceiling(bound=0.02), 0.02, rate(931, 972)).proof == "breached"
    stream = assess(Ceiling(bound=0.03, stream=True), 0.03, rate(931, 972))
    assert stream.proof == "open"
    assert assess(Ceiling(bound=0.02, stream=True), 0.02, rate(931, 972)).proof == "breached"
    assert stream.share_lost == pytest.approx(41 / 972 / 0.03)


def test_an_open_ceiling_says_how_many_cases_would_do_if_any():
    assert assess(Ceiling(bound=0.05), 0.05, rate(20, 20)).n_needed == 38
    assert assess(Ceiling(bound=0.05), 0.05, rate(95, 100)).n_needed is None
    assert assess(Ceiling(bound=1.0), 1.0, rate(0, 10)).proof == "proved"


def test_a_ceiling_of_zero_is_none_in_59():
    assert assess(Ceiling(bound=0.0), 0.0, rate(58, 58)).n_needed == 59
    assert assess(Ceiling(bound=0.0), 0.0, rate(59, 59)).proof == "proved"
    assert assess(Ceiling(bound=0.0), 0.0, rate(999, 1_000)).proof == "breached"


def test_one_case_breaches_zero_and_loses_more_than_any_rate():
    found = assess(Zero(n=200), 0.0, rate(3_859, 3_900))
    assert (found.proof, found.share_lost) == ("breached", math.inf)


def test_zero_shows_the_bound_that_its_cases_support():
    found = assess(Zero(n=200), 0.0, rate(200, 200))
    assert (found.proof, round(found.high, 4)) == ("proved", 0.0149)
    few = assess(Zero(n=200), 0.0, rate(50, 50))
    assert (few.proof, few.n_needed, few.share_lost) == ("open", 200, 0.75)
    assert assess(Zero(n=200), 0.0, rate(400, 410, unknown=10)).proof == "open"


def test_a_census_has_no_interval_and_lack_is_no_harm():
    assert assess(Census(bound=0.995), 0.995, rate(9_971, 10_000)).proof == "proved"
    down = assess(Census(bound=0.995), 0.995, rate(9_900, 10_000))
    assert (down.proof, down.low, down.share_lost) == ("breached", None, pytest.approx(2.0))
    assert assess(Census(bound=1.0), 1.0, rate(9, 10)).share_lost == math.inf
    lack = assess(Census(bound=0.5, harm=False), 0.5, rate(1, 10))
    assert (lack.proof, lack.share_lost) == ("open", pytest.approx(0.8))
    assert assess(Census(bound=0.0, harm=False), 0.0, rate(0, 10)).proof == "proved"


def test_a_mean_needs_100_cases_and_every_price():
    assert assess(MeanMax(bound=0.45), 0.45, amount(200, 0.3, 0.2, 0.4)).proof == "proved"
    few = assess(MeanMax(bound=0.45), 0.45, amount(99, 0.3, 0.2, 0.4))
    assert (few.proof, few.n_needed) == ("open", 100)
    assert assess(MeanMax(bound=0.45), 0.45, amount(200, 0.9, 0.8, 1.0)).proof == "breached"
    assert assess(MeanMax(bound=0.45), 0.45, amount(99, 0.9, 0.8, 1.0)).proof == "open"
    assert assess(MeanMax(bound=0.45), 0.45, amount(200, 0.4, 0.3, 0.5)).proof == "open"
    assert assess(MeanMax(bound=0.45), 0.45, amount(200, 0.4)).proof == "open"
    assert assess(MeanMax(bound=0.0), 0.0, amount(200, 0.4, 0.3, 0.5)).share_lost == math.inf


def test_a_cost_with_unpriced_tokens_proves_only_the_worst():
    cheap = assess(MeanMax(bound=0.45), 0.45, amount(200, 0.3, 0.2, 0.4, tokens=1_000, tokens_unpriced=40))
    assert (cheap.proof, cheap.why) == ("open", "4 % of tokens have no price")
    assert cheap.remedy == "pilothouse price"
    unsaid = amount(200, 0.3, 0.2, 0.4, tokens=1_000, tokens_unpriced=40, tokens_unsaid=40)
    silent = assess(MeanMax(bound=0.45), 0.45, unsaid)
    assert (silent.proof, silent.why) == ("open", "calls with 4 % of tokens do not say how many they used")
    both = amount(200, 0.3, 0.2, 0.4, tokens=1_000, tokens_unpriced=60, tokens_unsaid=40)
    assert assess(MeanMax(bound=0.45), 0.45, both).why == "6 % of tokens have no price"
    dear = assess(MeanMax(bound=0.45), 0.45, amount(200, 0.9, 0.8, 1.0, tokens=1_000, tokens_unpriced=40))
    assert (dear.proof, dear.why) == ("breached", "")
    fine = assess(MeanMax(bound=0.45), 0.45, amount(200, 0.3, 0.2, 0.4, tokens=1_000, tokens_unpriced=10))
    assert fine.proof == "proved"
    assert assess(MeanMax(bound=0.45), 0.45, amount(200, 0.3, 0.2, 0.4, tokens_unpriced=2)).proof == "open"


@pytest.mark.parametrize(
    "counts", [{"tokens": 90, "tokens_unpriced": 90}, {"tokens": 90, "unmeasured": 1, "other_currency": 1}]
)
def test_a_cost_of_which_nothing_is_known_is_no_zero_and_needs_no_further_cases(counts):
    found = assess(MeanMax(bound=0.45), 0.45, amount(30, 0.0, **counts))
    assert (found.proof, found.value, found.n_needed, bool(found.why)) == ("open", None, None, True)


def test_a_cost_without_all_of_its_parts_is_not_known():
    found = assess(MeanMax(bound=0.45), 0.45, amount(200, 0.3, 0.2, 0.4, unmeasured=1))
    assert (found.proof, found.why) == ("open", "parts missing")


@pytest.mark.parametrize("detail", ["", ".", " "])
def test_a_cost_with_unmeasured_parts_does_not_hold_because_nobody_says_which(detail):
    record = amount(200, 0.3, 0.2, 0.4, unmeasured=2).model_copy(update={"detail": detail})
    found = assess(MeanMax(bound=0.45), 0.45, record)
    assert (found.proof, found.why) == ("open", "parts of it that are not measured: 2")
    dear = assess(MeanMax(bound=0.1), 0.1, record)
    assert (dear.proof, dear.why) == ("breached", "")


def test_a_quantile_needs_59_cases():
    assert assess(Quantile(bound=2.0), 2.0, amount(58, 1.0, 0.9, 1.1)).n_needed == 59
    assert assess(Quantile(bound=2.0), 2.0, amount(59, 1.0, 0.9, 1.1)).proof == "proved"


def test_an_amount_that_must_be_reached():
    rule = AtLeast(bound=0.0, n=60)
    assert assess(rule, 0.0, amount(60, 0.05, 0.01, 0.09)).proof == "proved"
    assert assess(rule, 0.0, amount(59, 0.05, 0.01, 0.09)).n_needed == 60
    assert assess(rule, 0.0, amount(60, -0.05, -0.09, -0.01)).proof == "breached"
    badge = AtLeast(bound=0.5, harm=False)
    low = assess(badge, 0.5, amount(60, 0.1, 0.1, 0.1))
    assert (low.proof, low.share_lost) == ("open", pytest.approx(0.8))


def test_an_amount_that_just_reaches_its_bound_is_at_least_that_and_not_more():
    just = amount(60, 0.5, 0.5, 0.5)
    reached, passed = AtLeast(bound=0.5), requirement_named("PROD-1").parts[0].rule
    assert (assess(reached, 0.5, just).proof, assess(passed, 0.5, just).proof) == ("proved", "open")
    assert assess(passed, 0.5, amount(60, 0.5, 0.5001, 0.6)).proof == "proved"
    volume = kind_named("volume")
    assert [rule_in_words(rule, 0.5, volume, "USD").partition(",")[0] for rule in (reached, passed)] == [
        "at least 50 %",
        "more than 50 %",
    ]


def test_a_pair_is_not_worse_worse_or_neither():
    rule = Paired(bound=5.0)
    assert assess(rule, 5.0, amount(400, -0.4, -1.6, 0.8)).proof == "proved"
    assert assess(rule, 5.0, amount(400, -9.0, -12.0, -6.0)).proof == "breached"
    between = assess(rule, 5.0, amount(40, -4.0, -9.0, 1.0))
    assert (between.proof, between.share_lost) == ("open", pytest.approx(0.8))
    assert assess(Paired(bound=0.0), 0.0, amount(40, -4.0, -9.0, 1.0)).share_lost == 1.0


def test_too_few_cases_are_lack_not_harm():
    found = assess(Count(bound=200), 200, record(kind="dataset.labelled", n=50))
    assert (found.proof, found.n_needed, found.share_lost) == ("open", 200, 0.75)
    assert assess(Count(bound=200), 200, record(kind="dataset.labelled", n=200)).proof == "proved"


def test_a_fact_passed_or_failed_and_a_signature_is_one():
    assert assess(Fact(), 0.0, record(n=1, passed=True)).proof == "proved"
    assert assess(Fact(), 0.0, record(n=1)).proof == "proved"
    assert assess(Fact(), 0.0, record(n=1, passed=False)).proof == "breached"
