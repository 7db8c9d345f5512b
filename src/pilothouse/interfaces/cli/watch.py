# SPDX-License-Identifier: Apache-2.0
"""`pilothouse watch`: what each detector says, how often it cries wolf, and after how many days it notices what."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.watch_status import DetectorStatus, WatchStatus

__all__ = ["register"]

MARKS = {
    "alarm": "✗ alarm",
    "warning": "! warning",
    "quiet": "✓ quiet",
    "learning": "… learning",
    "blind": "? blind",
}
"""A sign and a word for each state: colour alone says nothing."""

RATES = frozenset(
    {"completion", "quality", "latency", "escalation", "discrepancy", "override", "complaint", "correction"}
)


def register(cli: typer.Typer, services: Services) -> None:
    """Add `watch` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="What each detector says, how often it cries wolf, and after how many days it notices what.",
        rich_markup_mode="rich",
    )
    cli.add_typer(group, name="watch")

    @group.command("status")
    def status(
        agent: Annotated[
            str | None, typer.Argument(help="Agent id; not needed when one charter is in force.")
        ] = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show every detector of an agent with its line, its false alarms and its detection delay at the real volume."""
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.watch_status import watch_status

        with services.open_watch(load_settings(home=home)) as watch:
            name = choose_agent(watch.room.installation, agent)
            found = watch_status(watch.room.watch, watch.directory.charter(name), services.clock.now().date())
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False, default=str))
        else:
            _show(found)

    @group.command("tick")
    def tick(*, home: Home = None, as_json: AsJson = False) -> None:
        """Count what is finished now, as `pilothouse up` does every minute; again at once it changes nothing."""
        from pilothouse.workflows.watch_tick import run_watch

        with services.open_watch(load_settings(home=home)) as watch:
            done = run_watch(watch, services.clock.now())
        if as_json:
            typer.echo(json.dumps(asdict(done)))
        else:
            typer.echo(
                f"Counted {done.days} finished days, opened {done.opened} incidents, wrote {done.evidence} records of "
                "evidence."
            )


def _show(status: WatchStatus) -> None:
    """Print the detectors, one line each, and below what limits them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("", False),
        ("watched", False),
        ("28 days", True),
        ("line", True),
        ("a day", True),
        ("false alarms", True),
        ("seen after days (3/5/7/10 worse)", False),
        ("promised", True),
        ("counted to", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "watched")
    for row in status.detectors:
        table.add_row(
            MARKS[row.state],
            row.title + (f" · {row.task_type}" if row.task_type else ""),
            _value(row),
            "" if row.line is None else f"{100 * row.line:.1f} %",
            f"{row.cases_per_day:.0f}" if row.cases_per_day else "",
            "" if row.false_alarms_per_year is None else f"≤ {row.false_alarms_per_year:.2g}/year",
            _delays(row),
            "" if row.promised_days is None else f"{row.promised_days:g} d",
            str(row.counted_to or ""),
        )
    console = Console(width=None, soft_wrap=True, highlight=False)
    console.print(table)
    console.print(
        "  A number after + is how many days pass until a day is counted, as measured.", style="dim"
    )
    for row in status.detectors:
        if row.note:
            console.print(
                f"  {row.title}{f' · {row.task_type}' if row.task_type else ''}: {row.note}", markup=False
            )
    if status.errors:
        shown = ", ".join(f"{kind} {count:,}" for kind, count in status.errors[:5])
        console.print(f"  Errors of 28 days: {shown}", markup=False)


def _value(row: DetectorStatus) -> str:
    if row.value is None or row.low is None or row.high is None:
        return ""
    return f"{100 * row.value:.1f} % [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _delays(row: DetectorStatus) -> str:
    lag = "" if row.lag_days is None or row.lag_days < 0.5 else f" + {row.lag_days:.0f}"
    if row.delays:
        days = "/".join("never" if one.days is None else f"{one.days}" for one in row.delays)
        return f"{days}{lag}"
    if row.delay_days is not None:
        return f"{24 * 60 * row.delay_days:.0f} minutes" if row.delay_days < 0.1 else f"{row.delay_days:.1f}"
    return ""
