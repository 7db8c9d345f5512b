# SPDX-License-Identifier: Apache-2.0
"""Two tables of the Watch page: what ended tasks and who answers for it, and how many tasks were scored."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.watched import Coverage, FailureGroup
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.verdict import Status
from pilothouse.reports.sections import Cell, Section, columns, row
from pilothouse.reports.view_models import Empty, StatusMark, mark_of, shown_text

__all__ = ["NOT_COUNTED", "coverage_section", "failures_section"]

ROWS_MAX = 20
"""Kinds of failure on the page; the newest tasks tell the rest."""

NOT_COUNTED = Empty(missing="No task of a finished day is counted yet.", command="pilothouse watch tick")
"""What stands in a table about finished days before the first."""

_NO_TASK = (Status.NO_EVIDENCE, "No task")

_TRENDS = {
    "rising": (Status.BREACHED, "Rising"),
    "new": (Status.AT_RISK, "New"),
    "steady": (Status.HOLDS, "Steady"),
}

_ENOUGH = {
    True: (Status.HOLDS, "Enough"),
    False: (Status.AT_RISK, "Too few"),
    None: (Status.NO_EVIDENCE, "Not declared"),
}


def failures_section(agent: str, groups: Sequence[FailureGroup], *, is_counted: bool) -> Section:
    """Return what ended tasks, most frequent first.

    Args:
        agent: Agent id.
        groups: Kinds of failure of the counted days.
        is_counted: Whether a task of a finished day was looked at; of none nobody can say that it did not fail.
    """
    return Section(
        anchor="errors",
        title="What ended tasks",
        note="last 28 counted days, sorted by what failed; who answers for it stands in the charter",
        columns=columns(
            "Kind of failure",
            "State",
            "#Tasks",
            "#Last 7 days",
            "First seen",
            "Answers for it",
            "One of them",
        ),
        rows=tuple(
            row(
                Cell(text=shown_text(one.kind.error), is_code=True, small=shown_text(f"in {one.kind.where}")),
                _mark(_TRENDS[one.trend]),
                f"{one.count:,}",
                f"{one.recent:,}",
                calendar_day(one.first),
                shown_text(one.answers),
                Cell(
                    text=shown_text(one.trace[:8]),
                    href=f"/agents/{quote(agent, safe='')}/tasks/{quote(one.trace, safe='')}",
                    is_code=True,
                ),
            )
            for one in groups[:ROWS_MAX]
        ),
        empty=Empty(missing="No task of a counted day failed.", command="") if is_counted else NOT_COUNTED,
    )


def coverage_section(rows: Sequence[Coverage]) -> Section:
    """Return how many tasks of each type were scored, against what the charter declares."""
    return Section(
        anchor="coverage",
        title="What is scored",
        note="last window whose scores are all in; at low volume every task",
        columns=columns("Task type", "State", "#Scored", "#Of", "#Declared", "#At least", "By", "Window"),
        rows=tuple(
            row(
                shown_text(one.task_type),
                _mark(_ENOUGH[one.is_enough] if one.tasks else _NO_TASK),
                Cell(
                    text=f"{one.scored:,}",
                    small=f"{one.labelled:,} labelled by people" if one.by == "a judge" else "",
                ),
                Cell(
                    text=f"{one.tasks:,}",
                    small=percentage(one.scored / one.tasks) if one.tasks else "",
                ),
                "open" if one.declared is None else f"{100 * one.declared:g} %",
                "open" if one.least is None else f"{one.least:,}",
                one.by,
                Cell(text=f"{one.days} days", small=f"to {calendar_day(one.until)}"),
            )
            for one in rows
        ),
        empty=Empty(missing="No finished day has scores yet.", command="pilothouse watch tick"),
    )


def _mark(state: tuple[Status, str]) -> StatusMark:
    status, word = state
    return mark_of(status, word=word)
