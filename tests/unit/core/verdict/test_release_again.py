# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pilothouse.core.verdict.release_again import judge_first_answers, was_not_proved
from pilothouse.core.verdict.verdict import Reason, Status

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def run(requirement="floor", status=Status.NO_EVIDENCE, reason=Reason.INSUFFICIENT, answered=100):
    item = SimpleNamespace(requirement=requirement, status=status, reason=reason)
    cost = SimpleNamespace(cases=100)
    return SimpleNamespace(items=(item,), as_of=NOW, cost=cost, answered=answered, deciding="floor")


@pytest.mark.parametrize(
    ("earlier", "is_lost"),
    [
        (run(), True),
        (run("must_not", Status.BREACHED, None), True),
        (run("floor", Status.HOLDS, None), False),
        (run("floor", reason=Reason.MISSING), False),
        (run("infrastructure"), False),
    ],
)
def test_what_other_answers_could_turn_was_not_proved(earlier, is_lost):
    assert was_not_proved(earlier) is is_lost


@pytest.mark.parametrize(
    ("answered", "is_again"),
    [
        ([NOW] * 100, False),
        ([NOW] * 100 + [LATER] * 200, False),  # the earlier run ended early, and this one goes on
        ([NOW] * 40, False),  # this one asks fewer
        ([NOW] * 95 + [LATER] * 5, False),  # what the world let down is asked again
        ([NOW] * 94 + [LATER] * 6, True),
        ([LATER] * 40, True),
    ],
)
def test_answers_that_were_asked_for_again_prove_nothing(answered, is_again):
    item = judge_first_answers([run()], answered)
    assert (item is not None) is is_again
    if item is not None:
        assert (item.status, item.reason) == (Status.NO_EVIDENCE, Reason.MISSING)
        assert "was not found good on 20 Nov 2026 (floor)" in item.sentence
    assert judge_first_answers([], answered) is None


def test_what_a_cut_run_did_not_get_to_is_no_first_answer():
    assert judge_first_answers([run(answered=40)], [NOW] * 40 + [LATER] * 60) is None
    assert judge_first_answers([run(answered=None)], [NOW] * 40 + [LATER] * 60), (
        "an older program kept no count"
    )
