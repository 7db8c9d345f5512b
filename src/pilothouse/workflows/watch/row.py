# SPDX-License-Identifier: Apache-2.0
"""One detector as people see it: its state, its line, how often it cries wolf, after how many days it notices what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import Alert
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.statistics.results import Estimate
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.watch.rules import arl_days

__all__ = ["DROPS", "blank_row", "independent_cases", "kept_promise", "shown_interval", "still_counted"]

DROPS = (0.03, 0.05, 0.07, 0.10)
"""Falls for which a detector says when it would notice them."""

RULE_DROP = 0.05
"""The fall that a rule must notice within its time where the charter names none: five points, as for quality."""

STILL_DAYS = 3
"""Days, beside twice the time that counting one usually takes, after which a detector without a newer one is blind."""

WEEK_DAYS = 7
"""Drift is looked at once a week."""

ALARM_STANDS_DAYS = 7
"""An alarm is shown, and breaches, until seven counted days have passed without another."""


def blank_row(
    metric: str, title: str, task_type: str, rule: Alert | None, readings: Sequence[WatchReading]
) -> DetectorStatus:
    """Return a row that knows its rule and nothing else yet.

    Args:
        metric: What is watched.
        title: How people call it.
        task_type: Task type, or empty for all.
        rule: The alert rule behind it, or None.
        readings: What the detector said, oldest first.
    """
    within = None if rule is None or rule.detect_within is None else known(rule.detect_within)
    return DetectorStatus(
        metric=metric,
        title=title,
        task_type=task_type,
        rule=None if rule is None else rule.id,
        state="blind",
        false_alarms_per_year=365.0 / arl_days(rule),
        lag_days=_lag(readings),
        promised_days=None if within is None else within / timedelta(days=1),
        counted_to=readings[-1].day if readings else None,
        note="" if readings else "no day is counted yet: `pilothouse up` counts them",
    )


def _lag(readings: Sequence[WatchReading]) -> float | None:
    """Median time from the end of a day until it was counted, of the last seven counted ones."""
    lags = sorted(
        (one.at - midnight(one.day + timedelta(days=1))) / timedelta(days=1) for one in readings[-7:]
    )
    return max(lags[len(lags) // 2], 0.0) if lags else None


def kept_promise(charter: Charter, row: DetectorStatus) -> DetectorStatus:
    """Say when the fall that the rule is about would be noticed, and whether an alarm stands."""
    if row.delays and row.lag_days is not None:
        wanted = RULE_DROP
        if row.metric == "quality" and row.task_type:
            points = known(charter.task_types[row.task_type].quality.max_drop)
            wanted = RULE_DROP if points is None else float(points) / 100
        # Of the sizes that were computed, the largest that is not above the wanted one: never kinder than the truth.
        fitting = [one for one in row.delays if one.drop <= wanted + 1e-9] or list(row.delays[:1])
        days = fitting[-1].days
        row = replace(row, delay_days=None if days is None else days + row.lag_days)
    if row.alarmed is not None and row.counted_to is not None:
        stands = (row.counted_to - row.alarmed).days < ALARM_STANDS_DAYS
        if stands:
            return replace(row, state="warning" if row.rule is None else "alarm")
    return row


def still_counted(row: DetectorStatus, today: date) -> DetectorStatus:
    """Say that a detector is blind whose days are not counted any more: it is quiet because nobody looks."""
    if row.counted_to is None or row.state not in {"quiet", "learning"}:
        return row
    usual = 2 * (row.lag_days or 0.0) + (WEEK_DAYS if row.metric == "drift" else 0)
    behind = (today - row.counted_to).days
    if behind <= STILL_DAYS + usual:
        return row
    since = f"no day is counted since {calendar_day(row.counted_to)}: `pilothouse doctor`"
    return replace(row, state="blind", note=f"{since}; {row.note}" if row.note else since)


def independent_cases(documents: Sequence[Mapping[str, Any]]) -> int:
    """Return how many independent cases some counted days are worth; days that were counted by an older version say none fewer.

    Args:
        documents: What a detector of a rate left of them.
    """
    return sum(one.get("worth", one["n"]) for one in documents)


def shown_interval(estimate: Estimate, *, inverted: bool) -> dict[str, float]:
    """Return a rate with its interval as people speak of it.

    Args:
        estimate: Rate of the good cases.
        inverted: Whether people speak of the bad ones.
    """
    if inverted:
        return {"value": 1 - estimate.value, "low": 1 - estimate.high, "high": 1 - estimate.low}
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
