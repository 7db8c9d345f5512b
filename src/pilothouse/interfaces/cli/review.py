# SPDX-License-Identifier: Apache-2.0
"""`pilothouse review`: the review queue in the terminal, one item after the other."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import click
import typer

from pilothouse.core.dates import minute
from pilothouse.interfaces.cli.consoles import hint_console, print_json, result_console, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.review import ItemRecord
    from pilothouse.workflows.people.people import Visitor
    from pilothouse.workflows.review.load import ReviewLoad
    from pilothouse.workflows.review.queue import Workbench

__all__ = ["register"]

ITEMS_LISTED_MAX = 200
"""Items listed at once, the earliest due first."""

_ANSWERS = {
    "1": "accept",
    "2": "correct",
    "3": "reject",
    "4": "unsure",
    "5": "not_my_field",
    "6": "hand_back",
}


def register(cli: typer.Typer, services: Services) -> None:
    """Add `review`, `review assign` and `review week` to the command tree."""
    group = typer.Typer(invoke_without_command=True)
    cli.add_typer(group, name="review")

    @group.callback()
    def review(
        context: typer.Context,
        *,
        person: Annotated[
            str | None,
            typer.Option(
                "--as", metavar="PERSON", help="Person id of the charter, or identity, who reviews."
            ),
        ] = None,
        home: Home = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print what waits as JSON, and ask nothing.")
        ] = False,
    ) -> None:
        """Review held and sampled outputs one after the other; without a terminal it prints what waits."""
        from pilothouse.reports.review import WHEN_ITEMS_COME
        from pilothouse.reports.terminal import plain_text

        if context.invoked_subcommand is not None:
            return
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
            console.print(f"Nothing waits for you. {WHEN_ITEMS_COME}")

    @group.command("assign")
    def assign(
        item: Annotated[str, typer.Argument(help="Id of an item; `pilothouse review --json` lists them.")],
        *,
        to: Annotated[
            str | None, typer.Option(metavar="PERSON", help="Who shall answer it; without it, everybody may.")
        ] = None,
        home: Home = None,
    ) -> None:
        """Give an item to one person; a substitute gets it when that person is away."""
        with services.open_workbench(load_settings(home=home)) as bench:
            record = bench.assign(item, to, actor=command_line_actor())
        say(f"{record.item.item_id}: {to or 'everybody'} may answer it, due {minute(record.item.due_at)}")

    _add_week(group, services)


def _add_week(group: typer.Typer, services: Services) -> None:
    @group.command("week")
    def week(
        *,
        person: Annotated[
            str, typer.Option("--as", metavar="PERSON", help="Person id of the charter, or identity.")
        ],
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Say what your own answers of seven days achieved, and how steady they are; for you alone."""
        from pilothouse.workflows.review.own_week import own_week_in_words

        with services.open_workbench(load_settings(home=home)) as bench:
            found = bench.week(bench.directory.find(person))
        if as_json:
            print_json(asdict(found))
        else:
            typer.echo(own_week_in_words(found))


def _print_counts(bench: Workbench, *, as_json: bool) -> None:
    from pilothouse.reports.review import WHEN_ITEMS_COME
    from pilothouse.workflows.review.load import load_in_words

    counts = bench.all_counts()
    loads = bench.loads(tuple(bench.directory.charters()))
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
        waiting = [
            {
                "item": one.item.item_id,
                "agent": one.item.agent,
                "due": one.item.due_at.isoformat(),
                "for": one.item.only_for,
                "holder": one.holder,
            }
            for one in bench.open_items(ITEMS_LISTED_MAX)
        ]
        print_json({"queue": rows, "items": waiting, "loads": [_load(one) for one in loads]})
        return
    for one in counts:
        due = f", next due {minute(one.next_due)}" if one.next_due else ""
        late = f", {one.overdue:,} late" if one.overdue else ""
        say(f"{one.agent}  {one.source.value}: {one.waiting:,} wait{late}{due}")
    if not counts:
        say(f"Nothing waits for review. {WHEN_ITEMS_COME}")
    for load in loads:
        say(f"{load.agent}  {' '.join(load_in_words(load))}")
    if counts:
        hint_console().print("  review them: pilothouse review --as PERSON, or the page /review")


def _load(load: ReviewLoad) -> dict[str, object]:
    from pilothouse.core.statistics.results import NotEnoughEvidence

    found = load.agreement
    measured = None if isinstance(found, NotEnoughEvidence) else found
    return {
        "agent": load.agent,
        "arrived_per_day": load.arrived_per_day,
        "capacity_per_day": load.capacity_per_day,
        "waiting": load.waiting,
        "days_to_clear": load.days_to_clear,
        "agreement": measured
        and {
            name: {"value": one.value, "low": one.low, "high": one.high, "n": measured.n}
            for name, one in (
                ("observed", measured.observed),
                ("kappa", measured.kappa),
                ("ac1", measured.ac1),
            )
        },
    }


def _show(
    record: ItemRecord, bench: Workbench, console: Console, plain: Callable[[str, Console], str]
) -> None:
    from pilothouse.reports.review import error_cost_text, text_shown
    from pilothouse.workflows.review.queue import rubric_of

    item = record.item
    charter = bench.directory.charter(item.agent)
    rubric = rubric_of(charter, item.task_type)
    cost = error_cost_text(item, charter)
    parts = [
        (
            "",
            f"{item.agent} · {item.task_type} · an error costs {cost} · due {minute(item.due_at)}",
        ),
        ("rubric", "\n".join(rubric.lines)),
        ("input", text_shown(item.input)),
        ("used", "\n".join(item.used)),
        ("proposal", text_shown(item.proposal)),
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
    from pilothouse.reports.review import why_told
    from pilothouse.workflows.review.queue import changes_nothing

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
        if changes_nothing(correction, record.item.proposal):
            console.print("Nothing was changed; the item is still yours.")
            return True
    done, others = bench.answer(visitor, record.item.item_id, answer, correction=correction.rstrip("\n"))
    told = f"{done.item.source.value}: {why_told(done.item)}" + (
        f"; {others} equal items too" if others else ""
    )
    console.print(plain(told, console), markup=False, highlight=False, style="dim")
    return True
