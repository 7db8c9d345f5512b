# SPDX-License-Identifier: Apache-2.0
"""What ended a task is told by its spans where they were read, and by its counts elsewhere."""

from __future__ import annotations

import pytest

from pilothouse.core.evidence.failure import ERROR_CHARS_MAX, FailureKind, failure_of
from pilothouse.core.evidence.task import Task, TaskResult


def failed(**fields):
    return Task(trace_id="a" * 32, agent="a", result=TaskResult.FAILED, start_ns=0, end_ns=1, **fields)


@pytest.mark.parametrize(
    ("task", "tools", "kind"),
    [
        (failed(error_type="timeout"), ("find", "book"), FailureKind("timeout", "tool", "book")),
        (failed(tool_errors=1, tools=("find",)), (), FailureKind("unnamed", "tool", "find")),
        (failed(tool_errors=1, tools=("find", "book")), (), FailureKind("unnamed", "tool")),
        (failed(error_type="429", model_errors=2), (), FailureKind("429", "model")),
        (failed(error_type="KeyError"), (), FailureKind("KeyError", "agent")),
        (failed(error_type="x" * 500), (), FailureKind("x" * ERROR_CHARS_MAX, "agent")),
    ],
)
def test_a_failure_has_an_error_and_a_place(task, tools, kind):
    assert failure_of(task, tools) == kind


def test_a_task_that_did_not_fail_has_none():
    assert failure_of(Task(trace_id="a" * 32, agent="a", start_ns=0, end_ns=1), ("find",)) is None


def test_places_have_words():
    words = [
        FailureKind("e", place, tool).where
        for place, tool in (("tool", ""), ("model", ""), ("tool", "erp.find"))
    ]
    assert words == ["a tool", "the model", "tool erp.find"]
