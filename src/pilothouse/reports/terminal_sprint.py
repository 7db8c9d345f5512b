# SPDX-License-Identifier: Apache-2.0
"""Prints the 30-day plan in a terminal, week by week."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pilothouse.reports.sprint import SprintPage
from pilothouse.reports.terminal import head, mark_text, plain_text

__all__ = ["render_sprint"]


def render_sprint(page: SprintPage, console: Console) -> None:
    """Print the plan.

    Args:
        page: The view model.
        console: Where it goes.
    """
    console.print(head(page, console, f"{page.heading} · from {page.starts_on} to {page.decides_on}"))
    for week in page.weeks:
        title = f"\n{week.heading}, {week.dates}"
        console.print(Text(plain_text(title, console), style="bold"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for line in week.lines:
            what = Text(plain_text(line.what, console))
            what.append(plain_text(f"\n{line.proof}", console), style="dim")
            if line.command:
                who = f"  ({', '.join(line.who)})" if line.who else ""
                what.append(plain_text(f"\n$ {line.command}{who}", console))
            table.add_row(mark_text(line.mark, console), what)
        console.print(table)
