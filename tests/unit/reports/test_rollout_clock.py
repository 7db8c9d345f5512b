# SPDX-License-Identifier: Apache-2.0
"""The clock of stable days as people read it: days as they are written, versions short, one line for one reason."""

from __future__ import annotations

import io
from datetime import date, timedelta

from rich.console import Console

from pilothouse.core.verdict.stability import DayCell, DayState, StabilityClock
from pilothouse.reports.rollout_clock import clock_shown
from pilothouse.reports.terminal_rollout import _clock

FIRST = date(2026, 11, 1)
WHY = ("Sev1.", "Sev1.", f"{'ab' * 32} in 21 tasks.")


def clock():
    days = tuple(
        DayCell(day=FIRST + timedelta(days=number), state=DayState.RESETS, text=text)
        for number, text in enumerate(WHY)
    )
    return StabilityClock(
        stable_days=0, target_days=90, strip=days, resets=days[::-1], paused_days=0, forecast=None
    )


def test_days_and_versions_are_written_as_people_write_them():
    newest = clock_shown(clock()).resets[0]
    assert (newest.day, newest.text) == ("3 Nov 2026", "abababa in 21 tasks.")


def test_the_terminal_says_one_reason_once_for_the_days_it_held():
    lines = _clock(clock_shown(clock()), Console(file=io.StringIO())).plain.splitlines()
    assert lines[-2:] == [
        "3 Nov 2026 reset: abababa in 21 tasks.",
        "1 Nov 2026 to 2 Nov 2026, 2 days, reset: Sev1.",
    ]
