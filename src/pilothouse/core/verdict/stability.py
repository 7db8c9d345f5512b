# SPDX-License-Identifier: Apache-2.0
"""The stability clock: count stable days, naming every pause and reset.

A day counts, pauses or resets. It counts when there was enough volume, nothing that is watched was breached
and the telemetry of the day is complete. Silence never counts: a day that nobody recorded pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import percentage

__all__ = [
    "COMPLETE_SHARE_MIN",
    "DayCell",
    "DayRecord",
    "DayState",
    "Forecast",
    "Reset",
    "StabilityClock",
    "StabilityTerms",
    "fold_clock",
]

COMPLETE_SHARE_MIN = 0.98
"""Minutes of a day whose telemetry must be reconciled; below, nobody knows what the day was like."""

STRIP_DAYS = 90
"""Days shown one by one: the default target, and what fits one line of a page."""

RATE_DAYS = 28
"""Days from which the forecast takes the rate of counting: four whole weeks hold every weekday equally often."""

DAYS_MAX = 1_000
"""Days folded at the most: eleven targets of 90, and one page of the ledger."""


class DayState(StrEnum):
    """What one day does to the clock."""

    COUNTS = "counts"
    PAUSES = "pauses"
    RESETS = "resets"


class Reset(BaseModel):
    """Something that sets the clock to zero, if the charter says so.

    Attributes:
        reason: One of the charter's `stability.reset_on`.
        text: What happened, in one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    text: str = Field(max_length=500)


class DayRecord(BaseModel):
    """The record of one UTC day of one agent, written once when the day is over.

    Attributes:
        day: The day.
        tasks: Tasks completed in production on that day.
        volume_share: Mean of completed tasks of the seven days ending here, as a share of the target; None
            while the charter does not say the target.
        complete_share: Share of the day's minutes whose telemetry is reconciled; None when nobody knows.
        pauses: Why the day cannot count although nothing broke, one sentence each.
        resets: What happened that may reset the clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    day: date
    tasks: int = Field(ge=0)
    volume_share: float | None = Field(default=None, ge=0)
    complete_share: float | None = Field(default=None, ge=0, le=1)
    pauses: tuple[str, ...] = Field(default=(), max_length=50)
    resets: tuple[Reset, ...] = Field(default=(), max_length=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityTerms:
    """The charter's terms of the clock, with nothing open.

    Attributes:
        days: Target, days.
        min_volume_share: Least share of the target volume, in [0, 1].
        reset_on: Reasons that reset.
        max_pause_days: Longest pause before a reset, days.
    """

    days: int
    min_volume_share: float
    reset_on: frozenset[str]
    max_pause_days: int

    @classmethod
    def of(cls, charter: Charter) -> StabilityTerms | None:
        """Read the terms; None while any of them is open."""
        said = charter.stability
        days, share = known(said.days), known(said.min_volume_share)
        reasons, pause = known(said.reset_on), known(said.max_pause)
        if days is None or share is None or reasons is None or pause is None:
            return None
        named = frozenset(reason for reason in reasons if not is_open(reason))
        if len(named) < len(set(reasons)):
            return None
        return cls(days=days, min_volume_share=share, reset_on=named, max_pause_days=pause.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCell:
    """One day of the strip.

    Attributes:
        day: The day.
        state: What it did.
        text: Why, in one sentence; empty for a day that simply counted.
    """

    day: date
    state: DayState
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When the target is reached at the rate of the last four weeks.

    Attributes:
        earliest: At the upper end of the rate's 95 % interval.
        latest: At its lower end.
    """

    earliest: date
    latest: date


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityClock:
    """The state of the clock.

    Attributes:
        stable_days: Days that counted since the last reset.
        target_days: The charter's target.
        strip: The last days, oldest first, at most `STRIP_DAYS`.
        resets: Days that reset, newest first.
        paused_days: Length of the pause at the end.
        forecast: When the target is reached; None when it is reached already, or nothing counts.
    """

    stable_days: int
    target_days: int
    strip: tuple[DayCell, ...]
    resets: tuple[DayCell, ...]
    paused_days: int
    forecast: Forecast | None


def fold_clock(records: Iterable[DayRecord], terms: StabilityTerms, today: date) -> StabilityClock:
    """Fold the days of an agent, in any order, into its clock.

    The later of two records of one day replaces the earlier in nothing: both are joined, so that neither a
    duplicate nor the order of arrival matters, and more bad news never helps.

    Args:
        records: Days with a record; a day before `today` without one pauses.
        terms: What the charter says.
        today: The present UTC day; it is not over and does not count yet.

    Returns:
        The clock; adding a pause or a reset to any day never gives more stable days.

    Example:
        >>> terms = StabilityTerms(days=90, min_volume_share=0.5, reset_on=frozenset({"sev1"}), max_pause_days=14)
        >>> days = [
        ...     DayRecord(day=date(2026, 1, number), tasks=9, volume_share=0.8, complete_share=1.0)
        ...     for number in range(1, 11)
        ... ]
        >>> fold_clock(days, terms, date(2026, 1, 11)).stable_days
        10
    """
    recorded = _by_day(record for record in records if record.day < today)
    if not recorded:
        return StabilityClock(
            stable_days=0, target_days=terms.days, strip=(), resets=(), paused_days=0, forecast=None
        )
    first = max(min(recorded), today - timedelta(days=DAYS_MAX))
    stable = paused = 0
    cells: list[DayCell] = []
    for offset in range((today - first).days):
        cell = _judge(first + timedelta(days=offset), recorded, terms)
        paused = paused + 1 if cell.state is DayState.PAUSES else 0
        if paused > terms.max_pause_days and stable:
            cell = DayCell(
                day=cell.day,
                state=DayState.RESETS,
                text=f"Paused for more than {terms.max_pause_days} days in a row.",
            )
        if cell.state is DayState.RESETS:
            stable = 0
        elif cell.state is DayState.COUNTS:
            stable += 1
        cells.append(cell)
    return StabilityClock(
        stable_days=stable,
        target_days=terms.days,
        strip=tuple(cells[-STRIP_DAYS:]),
        resets=tuple(cell for cell in reversed(cells) if cell.state is DayState.RESETS),
        paused_days=paused,
        forecast=_forecast(cells, terms.days - stable, today),
    )


def _by_day(records: Iterable[DayRecord]) -> dict[date, DayRecord]:
    """Join the records of each day: the worst of what they say."""
    joined: dict[date, DayRecord] = {}
    for record in records:
        other = joined.get(record.day)
        joined[record.day] = record if other is None else _join(record, other)
    return joined


def _join(one: DayRecord, other: DayRecord) -> DayRecord:
    resets = {(reset.reason, reset.text): reset for reset in (*one.resets, *other.resets)}
    return DayRecord(
        day=one.day,
        tasks=min(one.tasks, other.tasks),
        volume_share=_least(one.volume_share, other.volume_share),
        complete_share=_least(one.complete_share, other.complete_share),
        pauses=tuple(sorted({*one.pauses, *other.pauses}))[:50],
        resets=tuple(resets[key] for key in sorted(resets))[:50],
    )


def _least(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(one, other)


def _judge(day: date, recorded: Mapping[date, DayRecord], terms: StabilityTerms) -> DayCell:
    record = recorded.get(day)
    if record is None:
        return DayCell(day=day, state=DayState.PAUSES, text="Nobody recorded this day.")
    resets = [reset.text for reset in record.resets if reset.reason in terms.reset_on]
    if resets:
        return DayCell(day=day, state=DayState.RESETS, text=" ".join(resets))
    pauses = list(record.pauses)
    if record.volume_share is None:
        pauses.append("The target volume is an open question.")
    elif record.volume_share < terms.min_volume_share:
        pauses.append(
            f"Volume was {percentage(record.volume_share, decimals=0)} of the target, under {percentage(terms.min_volume_share, decimals=0)}."
        )
    if record.complete_share is None:
        pauses.append("Nobody knows whether the telemetry of the day is complete.")
    elif record.complete_share < COMPLETE_SHARE_MIN:
        pauses.append(f"Only {percentage(record.complete_share)} of the day's telemetry is reconciled.")
    # What breaks a charter without resetting it (the charter may leave reasons out) still cannot count as stable.
    pauses.extend(reset.text for reset in record.resets)
    if pauses:
        return DayCell(day=day, state=DayState.PAUSES, text=" ".join(pauses))
    return DayCell(day=day, state=DayState.COUNTS, text="")


def _forecast(cells: list[DayCell], remaining: int, today: date) -> Forecast | None:
    recent = cells[-RATE_DAYS:]
    counted = sum(cell.state is DayState.COUNTS for cell in recent)
    if remaining <= 0 or not counted:
        return None
    rate = jeffreys_interval(counted, len(recent))
    if isinstance(rate, NotEnoughEvidence):  # pragma: no cover - there is at least one day
        raise TypeError(rate.reason)
    return Forecast(
        earliest=today + timedelta(days=math.ceil(remaining / rate.high)),
        latest=today + timedelta(days=math.ceil(remaining / rate.low)),
    )
