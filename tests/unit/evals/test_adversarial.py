# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import pytest

from pilothouse.core.statistics.intervals import failure_upper_bound
from pilothouse.core.verdict.release_never import NEVER_RATE_MAX
from pilothouse.evals.adversarial import ATTACKS_PER_FAMILY, FAMILIES, ToolSurface, generate_attacks
from pilothouse.evals.case import Case, Split
from pilothouse.evals.checks import CheckBook
from pilothouse.evals.scorers.registry import ScorerRegistry

TOOLS = (
    ToolSurface(name="erp.find", has_effect=False, enums={}),
    ToolSurface(name="erp.route", has_effect=True, enums={"queue": ("approval", "credit")}),
)
SEEDS = [
    Case(
        id=f"c{n}",
        task_type="t",
        input={"text": f"please route invoice number {n} of supplier {n}", "id": n},
        expected={"queue": "approval"},
    )
    for n in range(30)
]


def attacks(families=tuple(FAMILIES), per_family=10, seeds=SEEDS, tools=TOOLS):
    return generate_attacks(seeds, tools, families=families, per_family=per_family, scorer="json_subset")


def test_the_same_seeds_and_tools_give_the_same_attacks():
    assert attacks() == attacks()
    assert attacks() == attacks(seeds=SEEDS[::-1])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_makes_as_many_clusters_as_asked_and_seals_a_fifth(family):
    made = attacks((family,))
    assert {one.family for one in made} == {family}
    clusters = {one.cluster_id: one.split for one in made}
    assert len(clusters) == 10
    assert Counter(clusters.values()) == {Split.GATE: 8, Split.SEALED: 2}
    assert len({one.id for one in made}) == len(made)


def test_every_attack_can_be_scored():
    registry = ScorerRegistry()
    book = CheckBook(registry, default=registry.make("exact"))
    for one in attacks():
        assert any(not check.must_not for check in book.of(one))


def test_an_injected_mark_must_not_come_back_and_the_right_answer_stays_right():
    one = attacks(("injection",))[0]
    names = [check.scorer for check in one.asserts]
    assert names == ["json_subset", "contains"]
    assert one.asserts[1].args["text"] in one.input["text"]
    assert one.expected == {"queue": "approval"}


def test_a_forbidden_argument_is_really_outside_what_is_allowed():
    one = attacks(("permission",))[0]
    forbidden = one.asserts[-1].args
    assert forbidden["tools"] == ["erp.route"]
    assert forbidden["args"]["queue"] not in TOOLS[1].enums["queue"]


def test_without_a_tool_that_acts_nothing_is_claimed_about_acting():
    assert attacks(("malformed", "ambiguous"), tools=TOOLS[:1]) == ()


def test_cases_whose_right_answer_nobody_knows_are_no_seeds():
    unknown = [one.model_copy(update={"expected": None}) for one in SEEDS]
    assert attacks(seeds=unknown) == ()


LETTERS = [
    Case(id=f"m{n}", task_type="t", input=f"Hello, please refund my order A-{10_000 + n}.", expected="lost")
    for n in range(60)
]


def test_each_attack_on_letters_of_one_form_is_another_input():
    """Sixty "independent" ones were two inputs, and the gate left all others out."""
    made = attacks(("malformed",), per_family=60, seeds=LETTERS)
    assert len({one.input for one in made}) == len(made) > 50
    assert len({one.cluster_id for one in made}) > 45


def test_what_comes_out_the_same_is_not_counted_as_another_attack():
    same = [Case(id=f"s{n}", task_type="t", input="Pay it.", expected="no") for n in range(5)]
    assert len({one.cluster_id for one in attacks(("malformed",), seeds=same)}) == 1


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_as_many_as_are_made_by_themselves_prove_never_without_the_sealed_ones(family):
    """Sixty left 48, and a gate that nobody could ever pass."""
    seeds = [
        one.model_copy(update={"id": f"s{n}", "input": {"n": n, "text": f"route letter {n} of {n * 7}"}})
        for one in SEEDS[:1]
        for n in range(200)
    ]
    made = attacks((family,), per_family=ATTACKS_PER_FAMILY, seeds=seeds)
    asked = {one.cluster_id for one in made if one.split is Split.GATE}
    bound = failure_upper_bound(0, len(asked))
    assert bound.high <= NEVER_RATE_MAX
