# SPDX-License-Identifier: Apache-2.0
"""Claims are counted once each, and what nobody knows is never counted as agreed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import TaskResult
from pilothouse.core.evidence.truth import count_truth
from pilothouse.testing import EXAMPLE_NOW, example_task


def outcome(task, status):
    return Outcome(
        trace_id=task.trace_id,
        agent=task.agent,
        task_type=task.task_type,
        version_digest=None,
        task_start_ns=task.start_ns,
        claim=task.claim,
        status=status,
        found="",
        critical=None,
        verifier="v",
        verified_at=EXAMPLE_NOW,
    )


def task(number, **fields):
    return example_task(trace_id=f"{number:032x}", **fields)


def test_each_fate_of_a_claim_has_its_own_count():
    tasks = [task(number) for number in range(6)]
    fates = [*OutcomeStatus, OutcomeStatus.VERIFIED]
    found = {one.trace_id: outcome(one, fate) for one, fate in zip(tasks, fates, strict=False)}
    (count,) = count_truth(tasks, found)
    assert (count.said_done, count.agrees, count.contradicts) == (6, 2, 1)
    assert (count.unverifiable, count.pending, count.not_asked, count.cannot_tell) == (1, 1, 1, 3)


def test_a_task_that_claims_nothing_is_not_counted_even_with_an_outcome():
    failed = task(1, result=TaskResult.FAILED)
    (count,) = count_truth([failed], {failed.trace_id: outcome(failed, OutcomeStatus.VERIFIED)})
    assert (count.said_done, count.agrees) == (0, 0)


def test_declared_types_come_first_in_their_order_and_others_by_name():
    tasks = [task(1, task_type="zebra"), task(2, task_type="b"), task(3, task_type="ant")]
    counts = count_truth(tasks, {}, ["b", "a"])
    assert [(one.task_type, one.said_done) for one in counts] == [
        ("b", 1),
        ("a", 0),
        ("ant", 1),
        ("zebra", 1),
    ]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([None, *OutcomeStatus]), st.booleans()))
)
def test_the_parts_always_add_up_to_what_was_said(rows):
    tasks = [
        task(number, task_type=name, result=TaskResult.COMPLETED if done else TaskResult.ESCALATED)
        for number, (name, _, done) in enumerate(rows)
    ]
    found = {
        one.trace_id: outcome(one, status)
        for one, (_, status, _) in zip(tasks, rows, strict=True)
        if status is not None
    }
    counts = count_truth(tasks, found)
    assert sum(one.said_done for one in counts) == sum(done for _, _, done in rows)
    assert all(one.said_done == one.agrees + one.contradicts + one.cannot_tell for one in counts)
