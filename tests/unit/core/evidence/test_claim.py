# SPDX-License-Identifier: Apache-2.0
"""Which tasks claim to be done."""

from __future__ import annotations

import pytest

from pilothouse.core.evidence.claim import says_done
from pilothouse.core.evidence.task import TaskResult
from pilothouse.testing import example_task


@pytest.mark.parametrize(
    ("result", "claim", "expected"),
    [
        (TaskResult.COMPLETED, '{"routed": 1}', True),
        (TaskResult.COMPLETED, None, True),
        (TaskResult.UNKNOWN, '{"routed": 1}', True),
        (TaskResult.UNKNOWN, None, False),
        (TaskResult.FAILED, '{"routed": 1}', False),
        (TaskResult.ESCALATED, '{"routed": 1}', False),
        (TaskResult.REFUSED, None, False),
    ],
)
def test_a_task_claims_when_it_says_completed_or_says_only_what_it_did(result, claim, expected):
    assert says_done(example_task(result=result, claim=claim)) is expected
