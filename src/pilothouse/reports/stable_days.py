# SPDX-License-Identifier: Apache-2.0
"""The stability clock as people see it: the day it stands at, and its last days as a picture (clock → words)."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.core.verdict.stability import DayState, StabilityClock
from pilothouse.reports.pictures import Strip, strip

__all__ = ["STATE_WORDS", "clock_strip", "clock_words"]

STATE_WORDS: Mapping[DayState, str] = {
    DayState.COUNTS: "counted",
    DayState.PAUSES: "paused",
    DayState.RESETS: "reset",
}
"""One word for what a day does to the clock, everywhere."""


def clock_words(clock: StabilityClock | None) -> str:
    """Return the day the clock stands at; None says that its terms are an open question.

    Example:
        >>> clock_words(None)
        'open question'
    """
    return f"day {clock.stable_days} of {clock.target_days}" if clock else "open question"


def clock_strip(clock: StabilityClock) -> Strip:
    """Return the last days of the clock as a picture."""
    return strip([STATE_WORDS[cell.state] for cell in clock.strip], "Days of the stability clock")
