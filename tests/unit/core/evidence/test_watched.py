# SPDX-License-Identifier: Apache-2.0
"""How many tasks were scored is held against the share and the number that the charter declares."""

from __future__ import annotations

from datetime import date

import pytest

from pilothouse.core.evidence.watched import Coverage


@pytest.mark.parametrize(
    ("tasks", "scored", "declared", "least", "is_enough"),
    [
        (100, 10, 0.1, None, True),
        (100, 9, 0.1, None, False),
        (100, 10, 0.1, 20, False),
        (5, 5, None, 20, True),
        (100, 50, None, None, None),
        (0, 0, 0.1, 20, None),
    ],
)
def test_share_and_number_are_both_reached_or_nobody_knows(tasks, scored, declared, least, is_enough):
    found = Coverage(
        task_type="t", days=7, until=date(2026, 11, 20), tasks=tasks, scored=scored, labelled=0,
        declared=declared, least=least, by="people",
    )  # fmt: skip
    assert found.is_enough is is_enough
