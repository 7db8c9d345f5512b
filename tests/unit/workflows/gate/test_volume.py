# SPDX-License-Identifier: Apache-2.0
"""What a load run makes of answers that have no score any more, and of judges that nobody measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pilothouse.core.verdict.release import GateRules
from pilothouse.core.verdict.verdict import Status
from pilothouse.evals.load import ANSWERED, ArmResult, Delivered
from pilothouse.workflows.gate.volume import QUALITY, _compare

N = 200


def arm(name, is_good):
    delivered = tuple(
        Delivered(
            case_id=f"c{n}", cluster=f"c{n}", task_type="t", is_good=is_good(n), cause=ANSWERED, latency_s=0.1, lag_s=0.0
        )
        for n in range(N)
    )  # fmt: skip
    return ArmResult(name=name, per_minute=1.0, delivered=delivered, backlog_max=1, seconds=1.0)


def compared(before, after, **judge):
    rules = GateRules(task_type="t")
    kind = SimpleNamespace(**{"is_judged": False, "is_unmeasured": False, **judge}, rules=rules)
    run = SimpleNamespace(policy=SimpleNamespace(rules={"t": rules}), judges=[kind])
    return _compare(run, "t", arm("1x", before), arm("10x", after), QUALITY)


@pytest.mark.parametrize(
    ("lost", "status"), [(4, Status.HOLDS), (5, Status.NO_EVIDENCE), (150, Status.NO_EVIDENCE)]
)
def test_answers_that_lose_their_score_under_load_are_not_left_out_in_silence(lost, status):
    found = compared(lambda n: True, lambda n: None if n < lost else True)
    assert found.status is status
    assert (found.value is None) is (status is Status.NO_EVIDENCE), "what is doubted goes on no record"


def test_cases_whose_right_answer_nobody_knows_are_no_lost_scores():
    unknown = compared(lambda n: None if n % 4 == 0 else True, lambda n: None if n % 4 == 0 else True)
    assert unknown.status is Status.HOLDS


def test_harm_counts_whatever_else_is_lost():
    worse = compared(lambda n: True, lambda n: None if n < 20 else n % 3 > 0)
    assert worse.status is Status.BREACHED


@pytest.mark.parametrize("judge", [{"is_judged": True}, {"is_unmeasured": True}])
def test_a_judge_that_nobody_measured_shows_no_quality_under_load(judge):
    assert compared(lambda n: True, lambda n: True, **judge).status is Status.NO_EVIDENCE
