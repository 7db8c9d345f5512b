# SPDX-License-Identifier: Apache-2.0
"""Prints any page made of sections in a terminal: the same texts, one table below the other."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.reports.papers import paper_sections
from pilothouse.reports.sections import Cell, Section
from pilothouse.reports.terminal import head, mark_text, plain_text
from pilothouse.reports.view_models import Page

__all__ = ["render_sections"]


def render_sections(page: Page, console: Console) -> None:
    """Print a page as its sections."""
    console.print(head(page, console, page.heading if page.agent else ""))
    for section in paper_sections(page):
        title = Text(plain_text(section.title, console), style="bold")
        title.append(plain_text(f"  {section.note}" if section.note else "", console), style="dim")
        console.print(Padding(title, (1, 0, 0, 0)))
        if section.style == "folded":
            continue  # as on the page: named, and opened by whoever wants it
        if section.rows:
            console.print(_table(section, console))
        elif section.empty:
            line = Text(plain_text(section.empty.missing, console))
            line.append(plain_text(f"  {section.empty.command}", console), style="cyan")
            console.print(line)
    if page.action:
        todo = f"\nNext: {page.action.label}"
        if page.action.command:
            todo += f": {page.action.command}"
        console.print(Text(plain_text(todo, console), style="bold"))


def _table(section: Section, console: Console) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in section.columns:
        table.add_column(
            plain_text(column.title, console),
            justify="right" if column.is_number else "left",
            overflow="fold",
        )
    for row in section.rows:
        table.add_row(*(_cell(cell, console) for cell in row.cells))
    return table


def _cell(cell: Cell, console: Console) -> Text:
    parts: list[Text] = []
    if cell.mark is not None:
        parts.append(mark_text(cell.mark, console))
    if cell.text:
        parts.append(Text(plain_text(cell.text, console)))
    if cell.when is not None:
        parts.append(Text(plain_text(cell.when.shown, console)))
    line = Text(" ").join(parts)
    if cell.small:
        line.append(plain_text(f"\n{cell.small}" if parts else cell.small, console), style="dim")
    if cell.command:
        line.append(
            plain_text(f"\n{cell.command}" if parts or cell.small else cell.command, console), style="cyan"
        )
    return line
