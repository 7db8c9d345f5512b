# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pilothouse.core.verdict.release_behaviour import TrajectoryResult, judge_behaviour
from pilothouse.core.verdict.verdict import Reason, Status


def golden(case_id, is_kept, was_kept=True, reason="step 1 ('read') is missing"):
    return TrajectoryResult(case_id=case_id, is_kept=is_kept, was_kept=was_kept, reason=reason)


def test_without_golden_cases_there_is_no_requirement():
    assert judge_behaviour([]) is None


def test_kept_sequences_hold_and_say_how_little_a_few_of_them_prove():
    item = judge_behaviour([golden(f"c{n}", True) for n in range(20)], least=20)
    assert (item.status, item.n, item.value) == (Status.HOLDS, 20, 1.0)
    # None of 20 lost: under 1 - 0.05 ** (1 / 20).
    assert item.low == pytest.approx(0.05 ** (1 / 20))
    assert "none of 20 golden sequences is lost, so under 13.9 % are" in item.sentence


def test_one_lost_sequence_breaches_and_names_the_first_step_that_differs():
    item = judge_behaviour([golden("a", True), golden("b", False), golden("c", False, was_kept=None)])
    assert (item.status, item.reason, item.items) == (Status.BREACHED, None, ("b", "c"))
    assert item.sentence.startswith(
        "2 of 3 golden sequences are no longer taken; first b: step 1 ('read') is missing"
    )


def test_what_the_other_side_never_took_is_no_regression_and_is_told():
    item = judge_behaviour([golden("a", True), golden("b", False, was_kept=False)])
    assert item.status is Status.HOLDS
    assert item.sentence.endswith("1 were not taken before either")


def test_unknown_tool_calls_and_too_few_sequences_prove_nothing():
    unknown = judge_behaviour([golden("a", True), golden("b", None, reason="tool calls are not known")])
    assert (unknown.status, unknown.reason, unknown.items) == (Status.NO_EVIDENCE, Reason.MISSING, ("b",))
    few = judge_behaviour([golden("a", True)], least=20)
    assert (few.status, few.reason, few.n_needed) == (Status.NO_EVIDENCE, Reason.INSUFFICIENT, 20)
    assert few.remedy == "pilothouse eval golden TRACE --by PERSON"
    lost = judge_behaviour([golden("a", None), golden("b", False)], least=20)
    assert lost.status is Status.BREACHED, "a loss stays a loss, whatever is unknown"
    assert (lost.n, lost.sentence.partition(" no longer")[0]) == (1, "1 of 1 golden sequences is")
