# SPDX-License-Identifier: Apache-2.0
"""Prints the portfolio in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.reports.portfolio import PortfolioPage, PortfolioRow
from pilothouse.reports.terminal import mark_text, plain_text

__all__ = ["render_portfolio"]

WIDE_COLUMNS = 120
"""From here on the requirement's words stand beside its id; `pilothouse verdict` says them in any width."""

TABLE_COLUMNS = 90
"""From here on seven columns hold words; below, each agent has lines of its own, or words would break into letters."""

AGENT_COLUMNS = 20
"""An agent's name up to here is not broken: it is what is typed next."""


def render_portfolio(page: PortfolioPage, console: Console, *, capabilities: bool) -> None:
    """Print every agent, worst first.

    Args:
        page: The view model.
        console: Where it goes.
        capabilities: Whether the six capabilities of each agent follow.
    """
    console.print(Text(plain_text(page.sentence.plain, console), style="bold"))
    if page.empty is not None:
        console.print(Text(plain_text(f"$ {page.empty.command}", console), style="cyan"))
        return
    if console.width < TABLE_COLUMNS:
        for row in page.rows:
            console.print(Padding(_lines(row, console), (1, 0, 0, 0)))
    else:
        console.print(Padding(_table(page, console), (1, 0, 0, 0)))
        console.print(Padding(_waiting(page, console), (1, 0, 0, 0)))
    if capabilities:
        for row in page.rows:
            console.print(_capabilities(row, console))


def _lines(row: PortfolioRow, console: Console) -> Text:
    """Lay out one agent line by line, for a terminal that is too narrow for columns."""
    said = mark_text(row.mark.model_copy(update={"reason": ""}), console)
    decided = row.worst_link.text if row.worst_link else row.worst
    beside = (row.stage, f"decided by {decided}", row.owner or "nobody yet", row.stable)
    waits = (("incidents", row.incidents), ("approvals", row.calls), ("reviews", row.reviews))
    waiting = [f"{name} {link.text}" for name, link in waits if link.text]
    said.append(plain_text(f"  {row.agent.text}\n", console), style="bold")
    said.append(plain_text(" · ".join(filter(None, beside)) + "\n", console), style="not bold")
    said.append(
        plain_text("; ".join((*waiting, f"cost {_cost(row)}")) + "\nvalue ", console), style="not bold"
    )
    return said.append_text(mark_text(row.value.model_copy(update={"reason": ""}), console))


def _cost(row: PortfolioRow) -> str:
    return f"{row.cost.quantity.shown} {row.cost.text}" if row.cost.quantity else row.cost.text


def _table(page: PortfolioPage, console: Console) -> Table:
    wide = console.width >= WIDE_COLUMNS
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), header_style="dim")
    whole = {"Phase", "Stable"}
    if all(len(row.agent.text) <= AGENT_COLUMNS for row in page.rows):
        whole.add("Agent")
    for title in ("Status", "Agent", "Phase", "Decided by", "Owner", "Stable", "Value"):
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for row in page.rows:
        decided = row.worst_link.text if row.worst_link else row.worst
        decided += f" {row.worst}" if row.worst_link and wide else ""
        table.add_row(
            mark_text(row.mark.model_copy(update={"reason": ""}), console),
            *(plain_text(text, console) for text in (row.agent.text, row.stage, decided)),
            plain_text(row.owner or "nobody yet", console),
            plain_text(row.stable, console),
            mark_text(row.value.model_copy(update={"reason": ""}), console),
        )
    return table


def _waiting(page: PortfolioPage, console: Console) -> Table:
    """Lay out what waits for people and what a task costs: a table of its own, because one line holds no more."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("Agent", "Incidents", "Approvals", "Reviews", "Cost per task"):
        table.add_column(title, overflow="fold")
    for row in page.rows:
        texts = (row.agent.text, row.incidents.text, row.calls.text, row.reviews.text, _cost(row))
        table.add_row(*(plain_text(text, console) for text in texts))
    return table


def _capabilities(row: PortfolioRow, console: Console) -> Padding:
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
        title=plain_text(row.agent.text, console),
        title_justify="left",
    )
    for title in ("Capability", "A pilot has", "Production", "Decided by"):
        table.add_column(title)
    for cell in row.capabilities:
        found = Text(plain_text(f"{cell.level}  ", console))
        found.append_text(mark_text(cell.mark, console))
        table.add_row(cell.name, cell.pilot, found, cell.decided_by)
    return Padding(table, (1, 0, 0, 0))
