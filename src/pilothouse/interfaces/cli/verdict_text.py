# SPDX-License-Identifier: Apache-2.0
"""Print a verdict: mark and sentence, the truth line of each task type, requirements, what a pilot hides, and the plan."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.interfaces.cli.verdict_view import StepRow, TruthRow, VerdictPage
from pilothouse.reports.pilot_probes import ProbeRow
from pilothouse.reports.terminal import mark_text, plain_text, render_verdict

__all__ = ["print_verdict"]


def print_verdict(page: VerdictPage, console: Console, *, full: bool = False) -> None:
    """Print a verdict.

    Args:
        page: The view model; nothing is computed here.
        console: Where it goes.
        full: Whether requirements that only later gates ask for are listed too.
    """
    truth = Padding(_truth(page.truth, console), (1, 0, 0, 0)) if page.truth else None
    render_verdict(page, console, full=full, below_head=truth)
    if page.probes:
        console.print(Padding(Text("What a pilot hides", style="bold"), (1, 0, 0, 0)))
        console.print(_probes(page.probes, console))
    if page.plan:
        console.print(Padding(Text("What to do, most urgent first", style="bold"), (1, 0, 0, 0)))
        if page.plan_sentence:
            console.print(Text(plain_text(page.plan_sentence, console)))
        console.print(_plan(page.plan, console))


def _truth(rows: tuple[TruthRow, ...], console: Console) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for row in rows:
        said = Text(plain_text(row.shown, console))
        hint = Text(plain_text(row.hint, console), style="dim")
        table.add_row(
            Text(plain_text(row.task_type, console), style="bold"), Group(said, hint) if row.hint else said
        )
    return table


def _probes(rows: tuple[ProbeRow, ...], console: Console) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=14)
    table.add_column(ratio=1)
    for row in rows:
        what = Group(
            Text(plain_text(f"{row.hides} ({row.requirement})", console), style="bold"),
            Text(plain_text(row.sentence, console)),
            *([Text(plain_text(f"$ {row.command}", console), style="dim")] if row.command else []),
        )
        table.add_row(mark_text(row.mark, console), what)
    return table


def _plan(rows: tuple[StepRow, ...], console: Console) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=14)
    table.add_column(ratio=1)
    for number, row in enumerate(rows, start=1):
        settles = f"settles {', '.join(row.items)}" + (f" · {', '.join(row.who)}" if row.who else "")
        what = Group(
            Text(plain_text(f"$ {row.command}", console), style="bold"),
            Text(plain_text(row.sentence, console)),
            Text(plain_text(f"{settles} · {row.effort}", console), style="dim"),
        )
        table.add_row(f"{number}.", mark_text(row.mark, console), what)
    return table
