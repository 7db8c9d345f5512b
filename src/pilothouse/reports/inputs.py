# SPDX-License-Identifier: Apache-2.0
"""The part of the Evals page about what the agent is asked: kinds of input, those without cases, and new ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.evidence.evidence import WARNINGS, Evidence
from pilothouse.core.verdict.verdict import Reason, Status
from pilothouse.reports.moments import moment
from pilothouse.reports.sections import Cell, Row, Section, columns, row
from pilothouse.reports.view_models import Empty, mark_of, shown_text

__all__ = ["inputs_section"]

COMMAND = "pilothouse dataset tail"

_TOLD = (
    ("inputs.analysed", "kinds of input", "DATA-3"),
    ("inputs.tail", "cases for each frequent kind", "DATA-3"),
    ("inputs.new_cluster", "new kinds this week", "DATA-6"),
)


def inputs_section(evidence: Sequence[Evidence], now: datetime) -> Section:
    """Build the section."""
    newest = {one.kind: one for one in sorted(evidence, key=lambda one: one.window_to)}
    rows = [_row(newest.get(kind), title, asked_by, now) for kind, title, asked_by in _TOLD]
    return Section(
        anchor="inputs",
        title="What the agent is asked",
        note="inputs told apart by the words that they share",
        columns=columns("State", "Looked at", "Found", "#Counted", "When", "Asked by", "Next"),
        rows=tuple(rows) if newest.keys() & {kind for kind, _, _ in _TOLD} else (),
        empty=Empty(
            missing="Nobody has looked yet which kinds of input there are.",
            asked_by="DATA-3",
            command=COMMAND,
        ),
    )


def _row(found: Evidence | None, title: str, asked_by: str, now: datetime) -> Row:
    if found is None:
        mark = mark_of(Status.NO_EVIDENCE, Reason.MISSING)
    elif found.passed is False:
        mark = mark_of(Status.BREACHED)
    else:
        mark = mark_of(Status.AT_RISK if found.counts.get(WARNINGS) else Status.HOLDS)
    return row(
        mark,
        title,
        shown_text(found.detail) if found else "never looked at",
        f"{found.n:,}" if found else "0",
        moment(found.window_to, now) if found else None,
        Cell(text=asked_by, is_code=True),
        Cell(command="" if mark.status is Status.HOLDS else COMMAND),
    )
