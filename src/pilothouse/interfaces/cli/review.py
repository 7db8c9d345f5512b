# SPDX-License-Identifier: Apache-2.0
"""`pilothouse review`: the review queue in the terminal, one item after the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from pilothouse.interfaces.cli.consoles import hint_console, result_console
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports import ItemRecord
    from pilothouse.workflows.people import Visitor
    from pilothouse.workflows.review import Workbench

__all__ = ["register"]

_ANSWERS = {
    "1": "accept",
    "2": "correct",
    "3": "reject",
    "4": "unsure",
    "5": "not_my_field",
    "6": "hand_back",
}


def register(cli: typer.Typer, services: Services) -> None:
    """Add `review` to the command tree."""

    @cli.command("review")
    def review(
        *,
        person: Annotated[
            str | None,
            typer.Option(
                "--as", metavar="PERSON", help="Person id of the charter, or identity, who reviews."
            ),
        ] = None,
        home: Annotated[Path | None, typer.Option(help="Data folder.", envvar="PILOTHOUSE_HOME")] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print what waits as JSON, and ask nothing.")
        ] = False,
    ) -> None:
        """Review held and sampled outputs one after the other; without a terminal it prints what waits."""
        from pilothouse.reports.terminal import plain_text

        with services.open_workbench(load_settings(home=home)) as bench:
            if person is None or as_json or not sys.stdin.isatty():
                _print_counts(bench, as_json=as_json)
                return
            visitor = bench.directory.find(person)
            console = result_console(wrap=True)
            while (record := bench.take_next(visitor)) is not None:
                _show(record, bench, console, plain_text)
                if not _ask(record, bench, visitor, console, plain_text):
                    return
            console.print("Nothing waits for you.")


def _print_counts(bench: Workbench, *, as_json: bool) -> None:
    counts = bench.all_counts()
    if as_json:
        rows = [
            {
                "agent": one.agent,
                "source": one.source.value,
                "waiting": one.waiting,
                "overdue": one.overdue,
                "next_due": one.next_due.isoformat() if one.next_due else None,
            }
            for one in counts
        ]
        typer.echo(json.dumps({"queue": rows}))
        return
    for one in counts:
        due = f", next due {one.next_due:%Y-%m-%d %H:%M} UTC" if one.next_due else ""
        late = f", {one.overdue:,} late" if one.overdue else ""
        typer.echo(f"{one.agent}  {one.source.value}: {one.waiting:,} wait{late}{due}")
    if not counts:
        typer.echo("Nothing waits for review.")
    hint_console().print("  review them: pilothouse review --as PERSON, or the page /review")


def _show(
    record: ItemRecord, bench: Workbench, console: Console, plain: Callable[[str, Console], str]
) -> None:
    from pilothouse.workflows.review import rubric_of

    item = record.item
    rubric = rubric_of(bench.directory.charter(item.agent), item.task_type)
    cost = "unknown" if item.error_cost is None else f"{item.error_cost:,.2f}"
    parts = [
        (
            "",
            f"{item.agent} · {item.task_type} · an error costs {cost} · due {item.due_at:%Y-%m-%d %H:%M} UTC",
        ),
        ("rubric", "\n".join(rubric.lines)),
        ("input", item.input),
        ("used", "\n".join(item.used)),
        ("proposal", item.proposal),
    ]
    for title, text in parts:
        if text:
            console.rule(title)
            console.print(plain(text, console), markup=False, highlight=False)


def _ask(
    record: ItemRecord,
    bench: Workbench,
    visitor: Visitor,
    console: Console,
    plain: Callable[[str, Console], str],
) -> bool:
    """Take one answer; False ends the session and leaves the item to the next person."""
    choice = typer.prompt(
        "1 accept  2 correct  3 reject  4 unsure  5 not my field  6 hand back  q quit", err=True
    )
    if choice == "q":
        return False
    answer = _ANSWERS.get(choice.strip())
    if answer is None:
        return True
    correction = ""
    if answer == "correct":
        correction = click.edit(record.item.proposal) or ""
        if correction.strip() in {"", record.item.proposal.strip()}:
            console.print("Nothing was changed; the item is still yours.")
            return True
    done, others = bench.answer(visitor, record.item.item_id, answer, correction=correction.rstrip("\n"))
    told = f"{done.item.source.value}: {done.item.why}" + (f"; {others} equal items too" if others else "")
    console.print(plain(told, console), markup=False, highlight=False, style="dim")
    return True
