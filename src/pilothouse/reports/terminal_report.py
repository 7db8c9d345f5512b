# SPDX-License-Identifier: Apache-2.0
"""Prints the executive page in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.reports.executive import ExecutivePage
from pilothouse.reports.terminal import head, mark_text, plain_text

__all__ = ["render_executive"]


def render_executive(page: ExecutivePage, console: Console) -> None:
    """Print the sheet for whoever decides, without the survey."""
    console.print(head(page, console, f"{page.word} · {page.phase} · {page.lapse}"))
    domains = _table()
    for one in page.domains:
        what = Text(plain_text(f"{one.statement} ({one.requirement})", console))
        what.append(plain_text(f"  {one.measured}", console), style="dim")
        domains.add_row(mark_text(one.mark, console), plain_text(one.title, console), what)
    console.print(Padding(domains, (1, 0, 0, 0)))
    _list(console, "Numbers", [f"{one.name}: {one.value.shown}" for one in page.numbers])
    _list(
        console,
        "Outcomes",
        [f"{one.name}: {one.committed}; {one.measured or 'not measured'}" for one in page.outcomes],
    )
    _list(console, "Conditions", page.conditions)
    _list(
        console,
        "What would change it",
        [f"{one.why}\n    $ {one.command}  ({one.who}; {one.effort})" for one in page.steps],
    )
    _list(console, "What nobody knows", [*page.unknown, *([page.unknown_more] if page.unknown_more else [])])
    _list(console, "People", [*page.people, *page.signatures])
    for line in (page.gate_date, page.stall):
        if line:
            console.print(Text(plain_text(line, console)))
    console.print(Text(plain_text(f"\n{'. '.join(page.foot)}.", console), style="dim"))


def _table() -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def _list(console: Console, title: str, lines: tuple[str, ...] | list[str]) -> None:
    if not lines:
        return
    console.print(Text(plain_text(f"\n{title}", console), style="bold"))
    for line in lines:
        console.print(Text(plain_text(f"  {line}", console)))
