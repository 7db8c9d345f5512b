# SPDX-License-Identifier: Apache-2.0
"""Prints the executive page and the compliance map in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.reports.compliance import CompliancePage
from pilothouse.reports.executive import ExecutivePage
from pilothouse.reports.terminal import head, mark_text, plain_text

__all__ = ["render_compliance", "render_executive"]


def render_executive(page: ExecutivePage, console: Console) -> None:
    """Print the sheet for whoever decides, without the survey."""
    console.print(head(page, console, f"{page.word} · {page.phase} · {page.lapse}"))
    domains = _table()
    for one in page.domains:
        what = Text(plain_text(f"{one.requirement} {one.statement}", console))
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


def render_compliance(page: CompliancePage, console: Console) -> None:
    """Print which controls this agent's evidence speaks to; frameworks the charter does not name are left out."""
    console.print(head(page, console, ""))
    declared = [one for one in page.frameworks if one.is_declared]
    for framework in declared or page.frameworks:
        table = _table()
        for row in framework.rows:
            mark = mark_text(row.mark, console) if row.mark else Text("not covered", style="dim")
            what = Text(plain_text(f"{row.control}, {row.asks}", console))
            what.append(plain_text(f"\n{'; '.join(row.evidence)}", console), style="dim")
            table.add_row(mark, what)
        console.print(Text(plain_text(f"\n{framework.name}", console), style="bold"))
        console.print(table)
    if page.unknown:
        console.print(Text(plain_text(f"No map speaks of: {', '.join(page.unknown)}.", console)))


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
