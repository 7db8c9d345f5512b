# SPDX-License-Identifier: Apache-2.0
"""One day of tasks becomes the counts that detectors are fed with; what is not known is counted nowhere."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import CostState, Task, TaskResult
from pilothouse.core.evidence.type_day import TRACES_KEPT_MAX, fold_type_days

BASE = Task(
    trace_id="0",
    agent="a",
    task_type="po",
    version_digest="v1",
    result=TaskResult.COMPLETED,
    start_ns=0,
    end_ns=1,
)
SECOND = 1_000_000_000


def outcome(trace, status):
    return Outcome(
        trace_id=trace, agent="a", task_type="po", version_digest="v1", task_start_ns=0, claim=None,
        status=status, found="", critical=None, verifier="v", verified_at=datetime(2026, 1, 2, tzinfo=UTC), attempts=1,
    )  # fmt: skip


def fold(tasks, outcomes=(), ceilings=None, said=None, *, is_heard=False, apart=()):
    found = {one.trace_id: one for one in outcomes}
    return fold_type_days(
        tasks,
        found,
        day_start_ns=0,
        ceilings_s=ceilings or {},
        said=said or {},
        is_heard=is_heard,
        apart=apart,
    )


def test_turns_of_one_conversation_are_worth_fewer_cases_and_hide_no_others():
    tasks = [replace(BASE, trace_id=str(n), conversation=None if n < 5 else "talk") for n in range(10)]
    day = fold(tasks)["po"]
    assert day.rates["completion"] == (10, 10)
    assert day.counted("completion") == (5, 5, 5), "the one that ran away is left out"
    assert day.counted("latency") == (0, 0, 0)
    assert fold(tasks[:6])["po"].counted("completion") == (6, 6, 6)
    pairs = [replace(BASE, trace_id=str(n), conversation=f"talk{n // 2}") for n in range(20)]
    assert fold(pairs)["po"].counted("completion") == (20, 20, 10)


def test_what_a_stand_in_answered_is_watched_and_is_of_no_version():
    tasks = [replace(BASE, trace_id=str(n), version_digest="v2" if n == 9 else "v1") for n in range(10)]
    day = fold(tasks, said={"override": {"8"}, "complaint": ()}, is_heard=True, apart={"8", "9"})["po"]
    assert (day.tasks, day.own, day.version) == (10, 8, "v1")
    assert (day.rates["override"], day.rates["own.override"]) == ((10, 9), (8, 8))
    assert "own.complaint" not in day.rates
    alone = fold(tasks[:1], apart={"0"})["po"]
    assert (alone.tasks, alone.own, alone.version) == (1, 0, None)


def test_each_result_counts_where_it_belongs():
    tasks = [
        replace(
            BASE,
            trace_id=str(number),
            result=result,
            error_type="timeout" if result is TaskResult.FAILED else None,
        )
        for number, result in enumerate(
            (TaskResult.COMPLETED, TaskResult.FAILED, TaskResult.ESCALATED, TaskResult.UNKNOWN)
        )
    ]
    day = fold(tasks)["po"]
    assert day.rates["completion"] == (2, 1)
    assert day.rates["escalation"] == (4, 3)
    assert day.bad == {"completion": ["1"], "escalation": ["2"]}
    assert day.minutes == {0: True}
    assert day.version == "v1"
    assert [fold([one])["po"].minutes[0] for one in tasks] == [True, False, True, False]


def test_time_is_held_against_the_ceiling_only_where_both_are_known():
    quick = replace(BASE, trace_id="q", duration_ns=SECOND)
    slow = replace(BASE, trace_id="s", duration_ns=9 * SECOND)
    day = fold([quick, slow, BASE], ceilings={"po": 8.0})["po"]
    assert day.rates["latency"] == (2, 1)
    assert "latency" not in fold([quick])["po"].rates


def test_costs_stand_in_their_hour_and_unknown_ones_are_no_zeros():
    hour = 3_600 * SECOND
    known = replace(BASE, start_ns=5 * hour, cost_usd=Decimal("0.5"), cost_state=CostState.KNOWN)
    partial = replace(BASE, cost_known_usd=Decimal("0.1"), cost_state=CostState.PARTIAL)
    free = replace(BASE, start_ns=5 * hour, cost_usd=Decimal(0), cost_state=CostState.KNOWN)
    day = fold([known, partial, free, BASE])["po"]
    assert day.cost_usd[5] == 0.5
    assert day.priced == [0] * 5 + [2] + [0] * 18
    assert (day.log_usd, day.paid) == (math.log(0.5), 1), "a free task has no logarithm"
    assert day.unpriced == 1


def test_claims_and_what_people_say_are_counted():
    tasks = [replace(BASE, trace_id=str(number)) for number in range(4)]
    day = fold(
        tasks,
        [
            outcome("0", OutcomeStatus.VERIFIED),
            outcome("1", OutcomeStatus.CONTRADICTED),
            outcome("2", OutcomeStatus.PENDING),
            outcome("3", OutcomeStatus.UNVERIFIABLE),
        ],
        said={"override": {"3"}},
    )["po"]
    assert day.rates["discrepancy"] == (2, 1)
    assert day.rates["unverifiable"] == (3, 2)
    assert day.pending == 1
    # One stands by the record, one was replaced; of the others nobody says anything.
    assert day.rates["override"] == (2, 1)


def test_an_answer_of_which_nobody_could_say_anything_is_not_one_that_nobody_replaced():
    tasks = [replace(BASE, trace_id=str(number)) for number in range(4)]
    nobody = {"override": (), "complaint": ()}
    day = fold(tasks, said=nobody)["po"]
    assert "override" not in day.rates
    assert day.rates["complaint"] == (4, 4)  # no verdict rests on it: a change is looked for
    assert fold(tasks, said=nobody, is_heard=True)["po"].rates["override"] == (4, 4)
    assert fold(tasks, said={"override": {"2"}}, is_heard=True)["po"].rates["override"] == (4, 3)


def test_examples_are_bounded():
    tasks = [replace(BASE, trace_id=str(n), result=TaskResult.FAILED) for n in range(TRACES_KEPT_MAX + 5)]
    assert len(fold(tasks)["po"].bad["completion"]) == TRACES_KEPT_MAX


def test_claims_are_counted_where_the_truth_is_known():
    tasks = [replace(BASE, trace_id=str(number), confidence=0.9) for number in range(3)]
    tasks.append(replace(BASE, trace_id="silent"))
    outcomes = [outcome("0", OutcomeStatus.VERIFIED), outcome("1", OutcomeStatus.CONTRADICTED)]
    day = fold(tasks, [*outcomes, outcome("silent", OutcomeStatus.VERIFIED)])["po"]
    assert day.rates["confidence"] == (2, 1)
    assert day.rates["discrepancy"] == (3, 2)
    assert math.isclose(day.claimed, 1.8)
    assert day.bad["confidence"] == ["1"]
