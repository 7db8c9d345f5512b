# SPDX-License-Identifier: Apache-2.0
"""The sentence of the rollout page says of what is waived that it is waived, never that it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pilothouse.reports.rollout_next import next_action, rollout_sentence

NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
IN_PHASE_2 = SimpleNamespace(state=SimpleNamespace(phase="2"), waiting_for=None)


@pytest.mark.parametrize(
    ("waived", "due", "said"),
    [
        ([], None, "Phase 2: everything that phase 3 asks for holds; it may be requested."),
        (
            [NOW + timedelta(days=3)] * 13,
            None,
            "Phase 2: all that phase 3 asks for holds or is waived (13); it may be requested.",
        ),
        (
            [NOW + timedelta(days=7)],
            NOW + timedelta(days=6),
            "Phase 2: all that phase 3 asks for holds or is waived (1); phase 3 can be requested from 5 Dec 2026.",
        ),
        (
            [NOW + timedelta(days=3)] * 2,
            NOW + timedelta(days=6),
            (
                "Phase 2: all that phase 3 asks for holds or is waived (2); "
                "phase 3 can be requested from 5 Dec 2026, and by then 2 waivers have ended."
            ),
        ),
    ],
)
def test_what_is_waived_is_not_said_to_hold(waived, due, said):
    assert rollout_sentence("3", [], IN_PHASE_2, waived=waived, due=due, now=NOW) == said


@pytest.mark.parametrize(
    ("due", "label"),
    [
        (None, "Request phase 3"),
        (NOW, "Request phase 3"),
        (NOW + timedelta(days=6), "Request phase 3 on 5 Dec 2026, not before"),
    ],
)
def test_the_next_action_says_from_when_on_it_is_worth_typing(due, label):
    assert next_action(None, "3", [], IN_PHASE_2, due=due, now=NOW).label == label
