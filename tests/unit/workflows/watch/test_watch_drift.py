# SPDX-License-Identifier: Apache-2.0
"""Drift compares conversations and not their turns: other people with the same questions are no other week."""

from __future__ import annotations

import numpy as np

from pilothouse.core.evidence.task import Task, TaskResult
from pilothouse.testing import MemoryLake
from pilothouse.workflows.watch.drift import look_at_drift

TOPICS = 30


def week(rng, name, *, conversations=150, turns=5, topics=TOPICS):
    """Tasks of a week: every conversation has one topic, and its turns are about as long."""
    tasks = []
    for talk in range(conversations):
        topic, length = rng.integers(topics), rng.integers(1, 40)
        for _ in range(turns):
            words = " ".join([f"topic{topic} about{topic} word{topic}"] * int(length))
            tasks.append(
                Task(
                    trace_id=f"{rng.integers(2**63):032x}",
                    agent="a",
                    task_type="po",
                    result=TaskResult.COMPLETED,
                    start_ns=0,
                    end_ns=1,
                    duration_ns=int(length) * 10**9,
                    input_preview=words,
                    conversation=f"{name}-{talk}" if turns > 1 else None,
                )
            )
    return tasks


def test_turns_of_other_conversations_are_no_drift_and_other_topics_are():
    rng, lake = np.random.default_rng(5), MemoryLake()
    looks = [look_at_drift(lake, week(rng, "first"), week(rng, "later")) for _ in range(12)]
    assert {one.compared for one in looks} == {(150, 150)}
    assert [one for one in looks if one.changed] == [], "counted turn by turn, every week had changed"
    lows = sum(min(one.p_values.values()) <= 0.05 for one in looks)
    assert lows <= 5
    other = look_at_drift(lake, week(rng, "first"), week(rng, "later", topics=12))
    assert "words" in other.changed


def test_tasks_without_a_conversation_are_compared_one_by_one():
    rng = np.random.default_rng(6)
    old, new = (week(rng, name, conversations=120, turns=1) for name in ("first", "later"))
    assert look_at_drift(MemoryLake(), old, new).compared == (120, 120)
