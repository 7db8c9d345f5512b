# SPDX-License-Identifier: Apache-2.0
"""The clock of stable days as people see it: the day it stands at, its strip, what reset it, and when it may be full."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.stability import DayState, Forecast, StabilityClock
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.pictures import Strip, strip
from pilothouse.reports.view_models import Empty, Frozen, shown_text

__all__ = [
    "STATE_WORDS",
    "ClockShown",
    "DayShown",
    "clock_empty",
    "clock_shown",
    "clock_strip",
    "clock_words",
    "last_reset",
]

STATE_WORDS: Mapping[DayState, str] = {
    DayState.COUNTS: "counted",
    DayState.PAUSES: "paused",
    DayState.RESETS: "reset",
}
"""One word for what a day does to the clock, everywhere."""


_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
"""A version in a sentence."""

LAST_RESET_CHARS = 160
"""Of the reason of a reset where the clock is one line among others; the Rollout page has all of it."""

RESETS_MAX = 10
"""Resets listed; older ones have been outlived."""


class DayShown(Frozen):
    """One day of the strip: `counted`, `paused` or `reset`, and why."""

    day: str
    state: str
    text: str


class ClockShown(Frozen):
    """The stability clock.

    Attributes:
        days: Days that counted since the last reset.
        target: The charter's target.
        strip: Day by day, oldest first.
        picture: The same days, drawn.
        resets: Days that reset, newest first.
        forecast: When the target is reached, in words.
    """

    days: int
    target: int
    strip: tuple[DayShown, ...]
    picture: Strip
    resets: tuple[DayShown, ...]
    forecast: str


def clock_shown(clock: StabilityClock) -> ClockShown:
    """Return the clock as the page shows it."""
    return ClockShown(
        days=clock.stable_days,
        target=clock.target_days,
        strip=tuple(_day(cell.day, cell.state, cell.text) for cell in clock.strip),
        picture=clock_strip(clock),
        resets=tuple(_day(cell.day, cell.state, cell.text) for cell in clock.resets[:RESETS_MAX]),
        forecast=_forecast(clock, clock.forecast),
    )


def _day(day: date, state: DayState, text: str) -> DayShown:
    text = _DIGEST.sub(lambda found: short_digest(found[0]), text)
    return DayShown(day=calendar_day(day), state=STATE_WORDS[state], text=shown_text(text))


def _forecast(clock: StabilityClock, found: Forecast | None) -> str:
    if clock.stable_days >= clock.target_days:
        return "The target is reached."
    if found is None:
        return "No date can be told: none of the last 28 days counted."
    return (
        f"The target is reached between {calendar_day(found.earliest)} and "
        f"{calendar_day(found.latest)}, if days go on as they did."
    )


def clock_empty(clock: StabilityClock | None) -> Empty | None:
    """Return what stands in place of a clock that has no terms or no day yet; None where there is one to show."""
    if clock is None:
        return Empty(
            missing="The terms of the clock are open questions.",
            asked_by="`stability` of the charter",
            command="pilothouse check",
        )
    if not clock.strip:
        return Empty(
            missing="No day is written down yet.",
            asked_by="DATA-11",
            command="pilothouse up",
        )
    return None


def clock_words(clock: StabilityClock | None) -> str:
    """Return the day the clock stands at; None says that its terms are an open question.

    Example:
        >>> clock_words(None)
        'open question'
    """
    return f"day {clock.stable_days} of {clock.target_days}" if clock else "open question"


def last_reset(clock: StabilityClock) -> str:
    """Say which day began the count anew and why; empty where none did."""
    if not clock.resets:
        return ""
    newest = clock.resets[0]
    shown = _day(newest.day, newest.state, newest.text)
    return f"last reset on {shown.day}: {foreign_line(shown.text, chars_max=LAST_RESET_CHARS)}"


def clock_strip(clock: StabilityClock) -> Strip:
    """Return the last days of the clock as a picture."""
    return strip([STATE_WORDS[cell.state] for cell in clock.strip], "Days of the stability clock")
