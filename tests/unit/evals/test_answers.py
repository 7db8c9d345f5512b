# SPDX-License-Identifier: Apache-2.0
"""Answers that people label and judges judge: what two of them do to one file at a time is kept."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from pilothouse.evals.answers import Answer, change_answers, forget_answers, labelling_order, read_answers

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def answer(number, **fields):
    return Answer.model_validate(
        {"input": number, "output": f"out {number}", "case_id": f"c{number}", **fields}
    )


def test_a_label_and_a_verdict_that_are_given_meanwhile_stay(tmp_path):
    path = tmp_path / "labels" / "answers.jsonl"
    known = change_answers(path, [answer(1), answer(2)])
    change_answers(path, [known[0].model_copy(update={"good": True, "by": "sam", "at": NOW})])
    change_answers(path, [one.model_copy(update={"verdicts": {"j": False}}) for one in known])
    other = known[1].model_copy(update={"good": False, "by": "kim", "at": NOW})
    held = change_answers(path, [other, answer(3)])
    assert held == read_answers(path)
    assert [(one.good, one.by, one.verdicts) for one in held] == [
        (True, "sam", {"j": False}),
        (False, "kim", {"j": False}),
        (None, None, {}),
    ]


def test_the_newer_label_of_one_answer_counts_whoever_writes_last(tmp_path):
    path = tmp_path / "answers.jsonl"
    (known,) = change_answers(path, [answer(1)])
    newer = {"good": False, "by": "kim", "at": NOW + timedelta(hours=1)}
    change_answers(path, [known.model_copy(update=newer)])
    (held,) = change_answers(path, [known.model_copy(update={"good": True, "by": "sam", "at": NOW})])
    assert (held.good, held.by) == (False, "kim")


def test_what_is_forgotten_is_gone_and_nothing_else(tmp_path):
    path = tmp_path / "answers.jsonl"
    assert forget_answers(path, lambda one: True) == 0
    assert not list(tmp_path.iterdir()), "a file that is not there is not made"
    change_answers(path, [answer(1), answer(2)])
    assert forget_answers(path, lambda one: one.case_id == "c1") == 1
    assert [one.case_id for one in read_answers(path)] == ["c2"]


def test_no_place_in_the_order_of_labelling_tells_what_the_judge_said():
    answers = [answer(n, verdicts={"j": n % 5 != 0}) for n in range(1_000)]
    order = labelling_order(answers)
    assert sorted(one.id for one in order) == sorted(one.id for one in answers)
    failed = [one.verdicts["j"] is False for one in order[:300]]
    assert 110 < sum(failed) < 190, "both sides are labelled as often, though one is four times as large"
    for step in (2, 3):
        for start in range(step):
            assert 0.3 < sum(failed[start::step]) / len(failed[start::step]) < 0.7
    follows = sum(one is not other for one, other in itertools.pairwise(failed))
    assert 110 < follows < 190, "nor does the one before; in turns it was 299 of 299"
