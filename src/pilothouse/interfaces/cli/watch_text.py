# SPDX-License-Identifier: Apache-2.0
"""The detectors of an agent as text that fits any terminal: one below the other, nothing cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from pilothouse.core.dates import calendar_day
from pilothouse.core.verdict.numbers import days_long, percent_range, percentage
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.words import money_text

if TYPE_CHECKING:
    from rich.console import Console

    from pilothouse.core.evidence.watched import Coverage, DetectorStatus
    from pilothouse.workflows.watch.status import WatchStatus

__all__ = ["show_watch"]

MARKS = {
    "alarm": "✗ alarm",
    "warning": "! warning",
    "quiet": "✓ quiet",
    "learning": "… learning",
    "blind": "? blind",
}
"""A sign and a word for each state: colour alone says nothing."""

FAILURES_MAX = 8
"""Kinds of failure that are printed; `--json` has them all."""

NAMED_MAX = 3
"""Detectors of the same kind of silence that are named; more are counted, `--json` has them all."""

_INDENT = 12
"""Where the text behind a mark begins."""


def show_watch(status: WatchStatus, console: Console) -> None:
    """Print each detector with what limits it below it; those that wait for the same thing stand in one line.

    Args:
        status: What the detectors say.
        console: Where it is printed; lines are wrapped at its width.
    """
    from pilothouse.workflows.watch.missed import missed_sentence

    if status.missed:
        console.print(f"! {missed_sentence(status.missed)}", markup=False)
    silent: dict[str, list[DetectorStatus]] = {}
    for row in status.detectors:
        if row.state == "blind" and row.value is None:
            silent.setdefault(row.note, []).append(row)
            continue
        console.print(f"{MARKS[row.state]:<{_INDENT}}{_name(row)}  {_value(row)}".rstrip(), markup=False)
        for line in _facts(row):
            console.print(Padding(Text(line, style="dim"), (0, 0, 0, _INDENT)))
    for note, rows in silent.items():
        names = ", ".join(_name(row) for row in rows) if len(rows) <= NAMED_MAX else f"{len(rows)} detectors"
        console.print(f"{MARKS['blind']:<{_INDENT}}{names}", markup=False)
        console.print(Padding(Text(note, style="dim"), (0, 0, 0, _INDENT)))
    if status.cost is not None:
        cost = status.cost
        console.print(f"Cost of a task, all-in: {money_text(cost.total, cost.currency)}", markup=False)
        for part in cost.parts:
            line = f"{part.name}: {money_text(part.money, cost.currency)} · {part.basis}"
            console.print(Padding(Text(line, style="dim"), (0, 0, 0, _INDENT)))
    for scored in (one for one in status.coverage if one.tasks):
        console.print(f"Scored: {_coverage(scored)}", markup=False)
    if status.failures:
        console.print("What ended tasks in 28 days, and who answers for it:", markup=False)
    for group in status.failures[:FAILURES_MAX]:
        line = (
            f"{group.count:,} · {foreign_line(group.kind.error)} in {foreign_line(group.kind.where)} · {group.trend} · "
            f"{group.answers} · pilothouse trace {group.trace}"
        )
        console.print(Padding(Text(line), (0, 0, 0, 2)))


def _coverage(one: Coverage) -> str:
    """How many of the tasks were scored, against what is declared."""
    declared = "" if one.declared is None else f", {100 * one.declared:g} % declared"
    least = "" if one.least is None else f", {one.least:,} at least"
    enough = {True: "enough", False: "too few", None: "nothing to hold it against"}[one.is_enough]
    labelled = f", {one.labelled:,} of them labelled by people" if one.by == "a judge" else ""
    return (
        f"{one.scored:,} of {one.tasks:,} of {one.task_type} by {one.by} in {one.days} days to {calendar_day(one.until)}"
        f"{labelled}{declared}{least}: {enough}"
    )


def _name(row: DetectorStatus) -> str:
    return row.title + (f" · {row.task_type}" if row.task_type else "")


def _facts(row: DetectorStatus) -> list[str]:
    """Return line and volume, then how soon what is seen, then what a reader must know."""
    level = [
        "" if row.line is None else f"line {percentage(row.line)}",
        f"{row.cases_per_day:,.0f} cases a day" if row.cases_per_day else "",
        "" if row.false_alarms_per_year is None else f"≤ {row.false_alarms_per_year:.2g} false alarms a year",
        f"counted to {calendar_day(row.counted_to)}" if row.counted_to else "",
    ]
    promised = "" if row.promised_days is None else f"promised within {row.promised_days:g} days"
    lines = (level, [_delays(row), promised], [row.note])
    return [" · ".join(part for part in line if part) for line in lines if any(line)]


def _value(row: DetectorStatus) -> str:
    if row.value is None or row.low is None or row.high is None:
        return ""
    return f"{percentage(row.value)} {percent_range(row.low, row.high)}"


def _delays(row: DetectorStatus) -> str:
    lag = (
        ""
        if row.lag_days is None or row.lag_days < 0.5
        else f", and {row.lag_days:.0f} until a day is counted"
    )
    if row.delays:
        sizes = "/".join(f"{100 * one.drop:.0f}" for one in row.delays)
        days = "/".join("never" if one.days is None else f"{one.days}" for one in row.delays)
        return f"{sizes} points worse: seen after {days} days{lag}"
    if row.delay_days is not None and row.delay_days < 0.1:
        return f"seen after {24 * 60 * row.delay_days:.0f} minutes"
    if row.delay_days is None:
        return ""
    return f"seen after {days_long(row.delay_days, bound=row.promised_days)} days"
