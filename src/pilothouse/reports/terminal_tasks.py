# SPDX-License-Identifier: Apache-2.0
"""Tasks and one trace in the terminal, from the same rows as the pages."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pilothouse.reports.tasks import TaskRow
from pilothouse.reports.terminal import mark_text, plain_text
from pilothouse.reports.trace import ClaimShown, SpanRow, TracePage

__all__ = ["render_tasks", "render_trace"]

FIGURES = frozenset({"took", "tokens", "cost"})
LEFT_OUT_FIRST = ("took", "tokens", "started", "cost", "agent says", "type")
"""Columns that a narrow terminal goes without, in this order; `--json` and a pipe have all of them."""

TEXT_CHARS_MAX = 2_000
"""Characters of a claim or an answer on the terminal; `--json` has all of it."""


def render_tasks(rows: Sequence[TaskRow], console: Console, *, agents: Sequence[str] = ()) -> None:
    """Print tasks, two lines each: the facts, then what was asked.

    Args:
        rows: The tasks, newest first.
        console: Where it goes.
        agents: The agent of each row; shown when there are several.
    """
    facts, left_out = _fitting(_columns(rows, console, agents), console)
    console.print(facts[0], no_wrap=True, overflow="crop")
    for row, line in zip(rows, facts[1:], strict=True):
        console.print(line, no_wrap=True, overflow="crop")
        asked = " · ".join(part for part in (row.text, *row.notes) if part)
        if asked:
            console.print(
                Text(f"    {plain_text(asked, console)}", style="dim"), no_wrap=True, overflow="ellipsis"
            )
    if left_out:
        console.print(
            Text(f"At {console.width} columns without: {', '.join(left_out)}.", style="dim"),
            no_wrap=True,
            overflow="ellipsis",
        )


def render_trace(page: TracePage, console: Console) -> None:
    """Print one trace: its task, claim beside outcome, then its spans as a tree."""
    console.print(Text(plain_text(page.sentence.plain, console)))
    if page.task is None:
        console.print(Text("The task is not folded yet; its spans may still be arriving.", style="yellow"))
    else:
        render_tasks([page.task], console)
    _claim(page.claim, console)
    for finding in page.findings:
        console.print(Text(plain_text(f"note    {finding}", console), style="yellow"))
    console.print(Padding(_tree(page.spans, console), (1, 0, 0, 0)))
    if page.unplaced:
        console.print(Text("Unplaced: the parent never arrived, or they lie in a circle", style="yellow"))
        console.print(_tree(page.unplaced, console))
    if page.hidden:
        console.print(Text(plain_text(page.hidden, console), style="dim"))


def _columns(rows: Sequence[TaskRow], console: Console, agents: Sequence[str]) -> dict[str, list[Text | str]]:
    columns: dict[str, list[Text | str]] = {}
    if len(set(agents)) > 1:
        columns["agent"] = [Text(plain_text(agent, console)) for agent in agents]
    columns["outcome"] = [mark_text(row.outcome, console) for row in rows]
    columns["task"] = [row.link.text for row in rows]
    columns["started"] = [row.at.shown for row in rows]
    columns["type"] = [Text(plain_text(row.task_type, console)) for row in rows]
    columns["agent says"] = [row.result for row in rows]
    columns["took"] = [row.took.shown for row in rows]
    columns["tokens"] = [row.tokens.shown for row in rows]
    columns["cost"] = [row.cost.shown for row in rows]
    return columns


def _fitting(columns: dict[str, list[Text | str]], console: Console) -> tuple[list[Text], list[str]]:
    """Lay out what fits the width. A column that does not is left out whole: half a figure is a wrong one."""
    left_out: list[str] = []
    for name in (None, *LEFT_OUT_FIRST):
        if name is not None:
            left_out.append(name)
        shown = {key: cells for key, cells in columns.items() if key not in left_out}
        table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
        for key in shown:
            table.add_column(key, justify="right" if key in FIGURES else "left", no_wrap=True)
        for cells in zip(*shown.values(), strict=True):
            table.add_row(*cells)
        lines = _lines_of(table, console)
        if max(len(line.plain.rstrip()) for line in lines) <= console.width:
            break
    return lines, left_out


def _lines_of(table: Table, console: Console) -> list[Text]:
    """Lay a table out once, so that its columns stay in line with other lines between its rows."""
    wide = Console(width=max(console.width, 400), no_color=console.no_color, legacy_windows=False)
    lines = wide.render_lines(table, wide.options, pad=False)
    return [Text.assemble(*((segment.text, segment.style or "") for segment in line)) for line in lines]


def _claim(claim: ClaimShown, console: Console) -> None:
    if claim.claim is not None:
        console.print(_named("claim", claim.claim.text, console))
    found = Text("found   ").append_text(mark_text(claim.mark, console))
    detail = " · ".join(part for part in (claim.critical, claim.found.text if claim.found else "") if part)
    console.print(found.append(plain_text(f"  {detail}" if detail else "", console)))


def _named(name: str, text: str, console: Console) -> Text:
    cut = text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}…"
    return Text(f"{name:<8}{plain_text(cut, console)}")


def _tree(spans: Sequence[SpanRow], console: Console) -> Tree:
    tree = Tree("spans", hide_root=True)
    above = [tree]
    for span in spans:
        line = Text(plain_text(span.name, console))
        detail = " · ".join((span.took.shown, *span.facts))
        line.append(plain_text(f"  {detail}", console), style="dim")
        if span.failed:
            line.append(plain_text(f"  error {span.failed}", console), style="bold red")
        del above[span.depth + 1 :]
        above.append(above[-1].add(line))
    return tree
