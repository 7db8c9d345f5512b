# SPDX-License-Identifier: Apache-2.0
"""What a gate says of trials that never became an answer."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from pilothouse.evals.runner import Outcome
from pilothouse.evals.trial import TrialStatus
from pilothouse.workflows.gate.results import ERROR_CHARACTERS_MAX, Gathered


def outcome(number, status=TrialStatus.DONE, error="", config="candidate"):
    return Outcome(
        case_id=f"c{number}", input_hash=str(number), index=0, config=config, status=status, success=None, must_not=(),
        latency_s=0.1, cost_usd=None, reused=False, error=error,
    )  # fmt: skip


def gathered(*outcomes):
    found = Gathered(SimpleNamespace(config="candidate"))
    found.add(outcomes)
    return found


def test_an_agent_that_fails_by_its_own_code_is_told_of_what_and_how_often():
    """A gate that called a function from many threads found it bad, and nobody could see that it had never answered."""
    loops = [
        outcome(
            n, TrialStatus.AGENT_ERROR, f"RuntimeError: <Event at {n}> is bound to a different event loop"
        )
        for n in range(18)
    ]
    late = outcome(18, TrialStatus.TIMEOUT, "no answer within 60 s")
    note = gathered(*loops, late, *(outcome(n) for n in range(19, 26))).failed_note
    assert note == (
        "19 of 26 trials of the candidate ended in an error and count as bad: 18 times RuntimeError: <Event at 0> is bound to a "
        "different event loop; 1 times no answer within 60 s"
    )


def test_an_error_is_told_in_short_and_only_of_the_candidate():
    assert (
        gathered(outcome(1), outcome(2, TrialStatus.AGENT_ERROR, "x", config="baseline")).failed_note is None
    )
    assert gathered(outcome(1, TrialStatus.INFRA_ERROR, "gone")).failed_note is None
    note = gathered(outcome(1, TrialStatus.AGENT_ERROR, "y" * 10_000)).failed_note
    assert len(note) < ERROR_CHARACTERS_MAX + 100


def test_trials_lost_are_a_share_of_all_of_their_side_whether_run_now_or_before():
    lost = outcome(0, TrialStatus.INFRA_ERROR, "HTTP 500")
    stored = [dataclasses.replace(outcome(n), reused=True) for n in range(1, 300)]
    again = gathered(lost, *stored).health
    assert (again.planned, again.infra_errors, again.is_broken) == (300, 1, False), "it was no fault before"
    many = [outcome(n, TrialStatus.INFRA_ERROR, "HTTP 500") for n in range(9)]
    beside = [outcome(n, config="baseline") for n in range(300)]
    one_side = gathered(*many, *(outcome(n) for n in range(9, 300)), *beside).health
    assert (one_side.planned, one_side.infra_errors, one_side.is_broken) == (300, 9, True)
