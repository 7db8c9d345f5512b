# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.checks import CheckBook, success_of
from pilothouse.evals.score import Score, ScoreStatus, Unscored, failed, passed, unscored
from pilothouse.evals.scorers.registry import ScorerRegistry
from pilothouse.workflows.gate.judge_cards import find_judge


def test_a_score_without_a_value_cannot_be_made_without_its_reason():
    with pytest.raises(ValueError, match="says why"):
        Score(value=None, status=ScoreStatus.UNSCORED)


def test_an_unscored_result_cannot_carry_a_zero():
    with pytest.raises(ValueError, match="value if and only if"):
        Score(value=0.0, status=ScoreStatus.UNSCORED, why=Unscored.TIMEOUT)


def test_a_missing_value_cannot_be_called_ok():
    with pytest.raises(ValueError, match="value if and only if"):
        Score(value=None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1])
def test_a_value_out_of_range_is_refused_and_not_clipped(value):
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        Score(value=value)


@pytest.mark.parametrize("cost", [math.nan, math.inf, -0.1])
def test_what_scoring_cost_is_an_amount_of_money(cost):
    with pytest.raises(ValueError, match="no amount of money"):
        Score(value=1.0, cost_usd=cost)


def test_a_reason_is_short_and_can_be_printed():
    assert Score(value=1.0, reason="x" * 900 + chr(0xD800)).reason == "x" * 500
    assert failed(chr(0xD800)).reason == "?"


def test_a_failure_decides_even_when_another_check_has_no_value():
    assert success_of([unscored(Unscored.TIMEOUT), failed("wrong")]).value == 0.0


def test_a_missing_value_leaves_the_case_unscored_with_its_reason():
    found = success_of([passed(), unscored(Unscored.PARSE_FAILED, "prose")])
    assert (found.value, found.why, found.reason) == (None, Unscored.PARSE_FAILED, "prose")


def test_checks_that_do_not_apply_say_nothing():
    assert success_of([passed(), unscored(Unscored.NOT_APPLICABLE)]).value == 1.0
    assert success_of([unscored(Unscored.NOT_APPLICABLE)]).why is Unscored.NOT_APPLICABLE


def test_a_graded_score_passes_from_its_threshold_on():
    graded = Score(value=0.7)
    assert success_of([graded], pass_at=0.7).value == 1.0
    assert success_of([graded], pass_at=0.71).value == 0.0


def test_a_case_does_not_choose_which_credential_its_judge_is_sent():
    """A file of cases sent any variable of the environment to the address that it named."""
    args = {"url": "http://127.0.0.1:9/v1", "model": "m", "rubric": "r", "key_env": "DATABASE_PASSWORD"}
    case = Case(id="a", task_type="t", input=1, asserts=[{"scorer": "judge", "args": args}])
    registry = ScorerRegistry()
    with pytest.raises(UsageError, match="names the variable of a credential"):
        CheckBook(registry, default=registry.make("exact")).of(case)
    with pytest.raises(UsageError, match="names the variable of a credential"):
        find_judge("rubric", None, [case], registry)
