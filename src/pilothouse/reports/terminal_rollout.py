# SPDX-License-Identifier: Apache-2.0
"""Prints the Rollout page in a terminal."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pilothouse.reports.rollout import RolloutPage
from pilothouse.reports.rollout_additions import AdditionShown
from pilothouse.reports.rollout_clock import ClockShown
from pilothouse.reports.terminal import head, mark_text, plain_text

__all__ = ["render_rollout"]

_CELLS = {"counted": "█", "paused": "·", "reset": "×"}
_CELLS_ASCII = {"counted": "#", "paused": ".", "reset": "x"}


def render_rollout(page: RolloutPage, console: Console) -> None:
    """Print where an agent is on its way, what the next phase asks for, and the clock of stable days."""
    here = next(phase for phase in page.phases if phase.is_current)
    since = f" since {page.since.absolute}" if page.since else ""
    console.print(head(page, console, f"{here.name}{since} · {here.scope}"))
    for line in (page.approvals, " ".join(part for part in (f"{page.looks}.", page.next_look) if part)):
        if line:
            console.print(Text(plain_text(line, console), style="dim"))
    for added in page.additions:
        console.print(_addition(added, console))
    for act in page.acts:
        text = Text(plain_text(f"\n{act.what}", console), style="bold" if act.is_done else "")
        told = f" ({act.incident})" if act.incident else ""
        text.append(plain_text(f" · {act.requirement}{told}: {act.text}", console), style="not bold")
        text.append(plain_text(f"\n{act.command}", console), style="not bold cyan")
        console.print(text)
    if page.asked:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for one in page.asked:
            what = Text(plain_text(one.sentence, console))
            what.append(plain_text(f"\n{one.command}", console), style="cyan")
            what.append(plain_text(f"  {', '.join(one.who)}", console), style="dim")
            table.add_row(mark_text(one.mark, console), one.requirement, what)
        console.print(Padding(table, (1, 0, 0, 0)))
    if page.clock is not None and page.clock.strip:
        console.print(Padding(_clock(page.clock, console), (1, 0, 0, 0)))
    if page.clock_empty is not None:
        empty = page.clock_empty
        console.print(
            Padding(Text(plain_text(f"Stable days: {empty.missing} {empty.command}", console)), (1, 0, 0, 0))
        )
    for moved in page.history:
        console.print(Text(plain_text(f"{moved.at.absolute}  {moved.text}", console), style="dim"))
    console.print(
        Text(plain_text(f"\nNext: {page.action.label}: {page.action.command}", console), style="bold")
    )


def _addition(one: AdditionShown, console: Console) -> Text:
    text = Text(plain_text(f"\nComes into the scope: {one.label} ", console), style="bold")
    text.append(plain_text(f"· {one.phase} since {one.since.absolute}. ", console), style="not bold")
    if one.mark is not None:
        text.append(mark_text(one.mark, console))
        text.append(plain_text(f" {one.word}. ", console), style="not bold")
    text.append(plain_text(one.sentence, console), style="not bold")
    for line, style in ((one.looks, "not bold dim"), (one.command, "not bold cyan")):
        if line:
            text.append(plain_text(f"\n{line}", console), style=style)
    return text


def _clock(clock: ClockShown, console: Console) -> Text:
    cells = _CELLS if console.encoding.lower().startswith("utf") else _CELLS_ASCII
    text = Text(plain_text(f"Stable days: {clock.days} of {clock.target}. {clock.forecast}\n", console))
    text.append("".join(cells[day.state] for day in clock.strip))
    legend = ", ".join(f"{cell} {state}" for state, cell in cells.items())
    text.append(plain_text(f"\n{legend}; the last is {clock.strip[-1].day}", console), style="dim")
    for why, days in groupby(clock.resets, key=lambda reset: reset.text):
        each = [one.day for one in days]
        when = each[0] if len(each) == 1 else f"{each[-1]} to {each[0]}, {len(each)} days,"
        text.append(plain_text(f"\n{when} reset: {why}", console), style="dim")
    return text
