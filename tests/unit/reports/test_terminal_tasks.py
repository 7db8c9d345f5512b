# SPDX-License-Identifier: Apache-2.0
"""Tasks in the terminal: two lines each, within eighty columns, foreign text as text."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from pilothouse.core.evidence.task import CostState, Task, TaskResult, TokenCount
from pilothouse.reports.tasks import task_row
from pilothouse.reports.terminal_tasks import render_tasks

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def made(**changes):
    fields = {
        "trace_id": "e228e65e7ec757286033891632fa3de6",
        "agent": "triage",
        "task_type": "non_po_invoice",
        "result": TaskResult.COMPLETED,
        "start_ns": int(NOW.timestamp() - 7_200) * 10**9,
        "end_ns": int(NOW.timestamp() - 7_199) * 10**9,
        "duration_ns": 10**9,
        "model_calls": 1,
        "tokens": TokenCount(input=1_000, output=41),
        "cost_state": CostState.UNKNOWN,
        "input_preview": "Document: D-00722 " + "with a long text that goes on " * 8,
    }
    return Task(**{**fields, **changes})


def shown(*tasks, width=80):
    out = io.StringIO()
    rows = [task_row(task, None, NOW) for task in tasks]
    render_tasks(rows, Console(file=out, width=width, highlight=False))
    return out.getvalue().splitlines()


def test_a_task_takes_two_lines_that_fit_eighty_columns():
    lines = shown(made())
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert "e228e65e" in lines[1]
    assert "1,041" in lines[1]
    assert lines[1].rstrip().endswith("unknown"), "an unknown cost is a word, never zero"
    assert lines[2].startswith("    Document: D-00722")


def test_columns_stay_in_line_between_tasks():
    lines = shown(made(), made(trace_id="f" * 32, task_type="po"))
    assert lines[1].index("e228e65e") == lines[3].index("ffffffff")


def test_foreign_text_cannot_steer_the_terminal_or_the_markup():
    text = "\n".join(shown(made(task_type="[red]x[/]", input_preview="\x1b[2Jgone [bold]b[/]")))
    assert "\x1b" not in text
    assert "[red]x[/]" in text
    assert "[bold]b[/]" in text


def test_a_narrow_terminal_goes_without_whole_columns_and_says_which():
    lines = shown(made(), width=60)
    assert max(map(len, lines)) <= 60
    assert lines[-1].startswith("At 60 columns without: took")
    header, facts = lines[0].split(), lines[1]
    assert "cost" not in header or facts.rstrip().endswith("unknown"), (
        "a figure is whole, or its column is gone"
    )
    assert "took" not in header
    assert not any("without" in line for line in shown(made(), width=200))
