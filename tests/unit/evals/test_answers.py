# SPDX-License-Identifier: Apache-2.0
"""Answers that people label and judges judge: what two of them do to one file at a time is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pilothouse.evals.answers import Answer, change_answers, forget_answers, read_answers

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
