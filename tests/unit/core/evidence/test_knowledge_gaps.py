# SPDX-License-Identifier: Apache-2.0
"""Planted terms are found, chance finds none, and each gap is held against what is known and shown."""

from __future__ import annotations

import random

import pytest
from scipy.stats import hypergeom

from pilothouse.core.evidence.knowledge_gaps import GAPS_MAX, AskedInput, _chance, find_gaps, terms_of

WORDS = [f"{first}{second}" for first in "bcdfglmnprst" for second in ("arn", "ol", "ine", "ust", "eck")]


def world(seed, *, tasks=600, planted=(), base=0.05):
    """Random texts; a planted term makes its task fail with its own chance."""
    dice = random.Random(seed)
    found = []
    for number in range(tasks):
        words = dice.choices(WORDS, k=8)
        chance = base
        for term, share, rate in planted:
            if dice.random() < share:
                words.insert(dice.randrange(8), term.format(n=dice.randrange(1000)))
                chance = max(chance, rate)
        found.append(
            AskedInput(
                trace_id=f"{number:04}", task_type="abc"[number % 3], text=" ".join(words),
                failed=dice.random() < chance,
            )
        )  # fmt: skip
    return found


def test_planted_terms_are_found_worst_first_and_each_failure_counts_once():
    asked = world(1, planted=[("NTE", 0.10, 0.8), ("SKU-{n}-X", 0.05, 0.9)])
    gaps = find_gaps(asked)
    assert [gap.term for gap in gaps.found[:2]] == ["nte", "sku-#-x"]
    assert gaps.failures == sum(one.failed for one in asked)
    assert gaps.found[0].excess > gaps.found[1].excess
    assert gaps.found[0].share == pytest.approx(0.10, abs=0.03)
    assert 0 < gaps.unexplained < gaps.failures / 2
    assert set(gaps.found[0].task_types) == {"a", "b", "c"}
    assert len(gaps.found[0].traces) == 10


def test_chance_alone_finds_a_gap_in_at_most_one_world_of_twenty():
    alarms = sum(bool(find_gaps(world(seed, tasks=250, base=0.2)).found) for seed in range(40))
    assert alarms <= 5, "5 % of 40 worlds are 2; six or more have a chance of 1 in 70"


def test_a_gap_is_held_against_glossary_examples_and_cases():
    asked = world(2, planted=[("standing order", 0.15, 0.9)])
    bare = find_gaps(asked).found[0]
    assert (bare.is_in_glossary, bare.examples, bare.cases) == (False, 0, 0)
    assert bare.term in {"standing", "order", "standing order"}
    known = find_gaps(
        asked,
        glossary=["standing order"],
        examples=["a standing order of May", "else"],
        cases=["standing order", "x"],
    ).found[0]
    assert (known.is_in_glossary, known.examples, known.cases) == (True, 1, 1)
    assert {"standing", "order"} - set(bare.term.split()) <= set(bare.topic)


def test_nothing_failed_nothing_asked_and_no_more_than_the_most():
    assert find_gaps([]).found == ()
    assert find_gaps(world(3, base=0.0)).failures == 0
    many = [
        AskedInput(trace_id=f"{term}-{n}", task_type="t", text=f"word{chr(97 + term // 26)}{chr(97 + term % 26)}", failed=True)
        for term in range(70)
        for n in range(8)
    ]  # fmt: skip
    good = [AskedInput(trace_id=f"g{n}", task_type="t", text="fine", failed=False) for n in range(20_000)]
    assert len(find_gaps(many + good).found) == GAPS_MAX


def test_an_input_that_comes_twice_counts_once_and_codes_count_by_shape():
    one = AskedInput(trace_id="a", task_type="t", text="x", failed=True)
    assert find_gaps([one, one]).tasks == 1
    assert terms_of("AB-12 and ab-99") >= {"ab-#", "and"}
    assert terms_of("4711 + 7") == frozenset()


@pytest.mark.parametrize(
    ("bad", "with_it", "failures", "tasks"), [(3, 4, 10, 100), (9, 20, 40, 300), (5, 5, 5, 900)]
)
def test_the_chance_is_that_of_a_second_implementation(bad, with_it, failures, tasks):
    other = hypergeom.sf(bad - 1, tasks, failures, with_it)
    assert _chance(bad, with_it, failures=failures, tasks=tasks) == pytest.approx(other, rel=1e-6)
