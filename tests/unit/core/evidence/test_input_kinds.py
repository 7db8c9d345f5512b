# SPDX-License-Identifier: Apache-2.0
"""Planted kinds of input are told apart and named, chance makes none, and new ones are noticed by their words."""

from __future__ import annotations

import itertools
import random

import pytest

from pilothouse.core.evidence.input_kinds import KIND_MIN, KINDS_MAX, find_kinds, travelling_words, words_of
from pilothouse.core.evidence.new_inputs import HARM_SHARE, SEEN_MIN, find_new_kinds, see_words

COMMON = [f"{first}{second}" for first in "bcdfglmnprst" for second in ("arn", "ol", "ine", "ust", "eck")]
TOPICS = {
    name: [f"{name}{ending}" for ending in ("ation", "ment", "ness", "ling", "ware", "ship", "hood")]
    for name in ("refund", "recall", "customs", "tax")
}


def world(seed, counts, *, plain=600):
    """Texts of common words; those of a topic hold most of its words, as people write: never quite the same."""
    dice = random.Random(seed)
    texts = [("", dice.sample(COMMON, dice.randint(4, 12))) for _ in range(plain)]
    for topic, count in counts.items():
        texts += [(topic, dice.sample(COMMON, 5) + dice.sample(TOPICS[topic], 5)) for _ in range(count)]
    dice.shuffle(texts)
    return [topic for topic, _ in texts], [frozenset(words) for _, words in texts]


def test_planted_kinds_are_told_apart_and_a_rare_one_is_among_them():
    truth, inputs = world(1, {"refund": 150, "recall": 60, "customs": 7})
    found = find_kinds(inputs)
    assert sum(len(kind.inputs) for kind in found.kinds) == len(inputs) == found.n
    for topic, count in (("refund", 150), ("recall", 60), ("customs", 7)):
        mine = [kind for kind in found.kinds if kind.words and kind.words[0].startswith(topic)]
        members = {at for kind in mine for at in kind.inputs}
        right = sum(truth[at] == topic for at in members)
        assert right == len(members), topic
        assert right >= 0.8 * count, topic
        assert all(word.startswith(topic) for kind in mine for word in kind.words)
    assert found.kinds[0].name == "everything else"


def test_each_input_is_placed_where_it_was_found_and_order_changes_nothing():
    _, inputs = world(2, {"refund": 90, "tax": 30})
    found = find_kinds(inputs)
    for at, kind in enumerate(found.kinds):
        assert all(found.place(inputs[row]) == at for row in kind.inputs)
    turned = find_kinds(inputs[::-1])
    assert [(kind.words, len(kind.inputs)) for kind in turned.kinds] == [
        (kind.words, len(kind.inputs)) for kind in found.kinds
    ]
    assert found.place(frozenset({"never seen"})) == 0


def test_words_that_have_nothing_to_do_with_one_another_make_no_kind():
    for seed in range(10):
        assert len(find_kinds(world(seed, {}, plain=500)[1]).kinds) == 1
        assert travelling_words(world(seed, {}, plain=500)[1]) == ()


@pytest.mark.parametrize("inputs", [[frozenset()], [frozenset({"pay"})] * 3, [frozenset({"pay"})] * 50])
def test_what_cannot_be_divided_is_one_kind(inputs):
    found = find_kinds(inputs)
    assert [len(kind.inputs) for kind in found.kinds] == [len(inputs)]
    assert found.place(frozenset({"else"})) == 0


def test_a_name_of_two_words_is_no_kind_and_there_are_never_more_than_the_most():
    pairs = [frozenset({"calder", "freight"})] * 20 + [frozenset({"other"})] * 80
    assert len(find_kinds(pairs).kinds) == 1
    many = [frozenset(f"{word}{n}" for word in ("a", "b", "c")) for n in range(100) for _ in range(KIND_MIN)]
    assert len(find_kinds(many).kinds) == KINDS_MAX


def test_words_that_part_nobody_from_the_others_make_no_kind():
    words = [f"w{chr(97 + n)}" for n in range(12)]
    whole = [frozenset(words)] * 80
    pairs = [frozenset(pair) for pair in itertools.combinations(words, 2)]
    assert len(find_kinds(whole + pairs).kinds) == 1, "every input holds two of them"


def test_codes_count_by_their_shape():
    assert words_of("Credit note CN-4711 of 12 May") == {"credit", "note", "cn-#", "of", "may"}


@pytest.mark.parametrize(("share", "noticed", "harmful"), [(0.015, 0, 0), (0.04, 1, 0), (0.10, 1, 1)])
def test_a_new_kind_is_noticed_by_its_share_of_the_week(share, noticed, harmful):
    seen = see_words(world(3, {"refund": 100}, plain=900)[1])
    assert seen.inputs == 1_000
    topics, week = world(4, {"refund": 50, "recall": round(400 * share)}, plain=350 - round(400 * share))
    found = find_new_kinds(seen, week)
    assert len(found) == noticed
    assert sum(kind.share > HARM_SHARE for kind in found) == harmful
    for kind in found:
        assert {topics[at] for at in kind.inputs} == {"recall"}
        assert kind.share == pytest.approx(share, abs=0.001)
        assert kind.name.count("recall") == 4
        assert all(kind.takes(week[at]) for at in kind.inputs)


def test_a_new_kind_is_named_by_its_most_frequent_words_first():
    before = [frozenset({"pay", "invoice"})] * 200
    now = [*before[:79], *[frozenset({"alpha", "mid", "zeta"})] * 20, frozenset({"mid", "zeta"})]
    assert [kind.name for kind in find_new_kinds(see_words(before), now)] == ["mid, zeta, alpha"]


def test_a_new_month_a_new_name_and_a_week_like_any_other_are_no_news():
    seen = see_words(world(5, {"tax": 40}, plain=960)[1])
    for seed in range(20):
        _, week = world(100 + seed, {"tax": 12}, plain=288)
        dated = [words | {"november"} for words in week]
        named = [words | {"calder", "freight"} if at % 10 == 0 else words for at, words in enumerate(dated)]
        assert find_new_kinds(seen, named) == ()
    assert find_new_kinds(seen, []) == ()


def test_a_word_counts_as_seen_when_some_inputs_held_it():
    few, enough = [frozenset({"odd"})] * (SEEN_MIN - 1), [frozenset({"odd"})] * SEEN_MIN
    assert not see_words(few).knows("odd")
    assert see_words(enough).knows("odd")
    assert all("odd" not in mark for mark in see_words(enough).marks), "words themselves are not kept"


def test_two_new_kinds_at_once_are_two():
    seen = see_words(world(6, {}, plain=1_000)[1])
    _, week = world(7, {"refund": 40, "customs": 20}, plain=240)
    assert [kind.words[0][:6] for kind in find_new_kinds(seen, week)] == ["refund", "custom"]
