# SPDX-License-Identifier: Apache-2.0
"""`pilothouse incident`: what is open, who has it, and the steps to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilothouse.core.dates import minute, second
from pilothouse.interfaces.cli.consoles import print_json, print_table, result_console, say
from pilothouse.interfaces.cli.options import AsJson, Home, Who
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from pilothouse.core.action.incident import Incident, IncidentState
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.incidents.incidents import IncidentView

__all__ = ["register"]

Number = Annotated[int, typer.Argument(help="Number of the incident: 3 for INC-3.")]
Text = Annotated[str, typer.Option("--text", help="What was done, one sentence.")]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `incident` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="What is open, who has it, and the steps to its end.",
        rich_markup_mode="rich",
    )
    cli.add_typer(group, name="incident")

    @group.command("list")
    def list_incidents(
        *,
        agent: Annotated[str | None, typer.Option(help="Of one agent alone.")] = None,
        everything: Annotated[bool, typer.Option("--all", help="Resolved and reviewed ones too.")] = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """List incidents, newest first; without --all those that still need somebody."""
        from pilothouse.ports.incidents import INCIDENTS_MAX
        from pilothouse.workflows.incidents.incidents import names_by_agent

        with services.open_control_room(load_settings(home=home)) as room:
            found = room.incidents.incidents(agent=agent, active=not everything, limit=INCIDENTS_MAX)
            names = {} if as_json else names_by_agent(room, (one.agent for one in found))
        if as_json:
            print_json([_record(one) for one in found])
        else:
            _show_list(found, names, everything=everything)
        if len(found) == INCIDENTS_MAX:
            say(f"The newest {INCIDENTS_MAX:,} are listed; `--agent` lists those of one agent.", err=True)

    @group.command("show")
    def show(number: Number, *, home: Home = None, as_json: AsJson = False) -> None:
        """Show one incident: timeline, suspects, people, traces and the steps that are possible."""
        from pilothouse.workflows.incidents.incidents import view

        with services.open_control_room(load_settings(home=home)) as room:
            found = view(room, number)
        if as_json:
            events = [
                {
                    "at": event.at.isoformat(),
                    "kind": event.kind,
                    "actor": event.actor,
                    "text": event.text,
                    "people": [person for _, person in event.people],
                }
                for event in found.events
            ]
            print_json({**_record(found.incident), "events": events})
        else:
            _show(found)

    def step(number: int, to: IncidentState, person: str, text: str, home: Path | None) -> None:
        from pilothouse.workflows.incidents.incidents import move

        with services.open_control_room(load_settings(home=home)) as room:
            done = move(room, number, to, person=person, text=text, now=services.clock.now())
        say(f"{done.name} is {done.state.value}. {_next_line(done)}")

    @group.command("acknowledge")
    def acknowledge(number: Number, *, person: Who = "", text: Text = "", home: Home = None) -> None:
        """Say that you have it in hand; nobody else is called."""
        from pilothouse.core.action.incident import IncidentState

        step(number, IncidentState.ACKNOWLEDGED, person, text, home)

    @group.command("hand-over")
    def hand_over_incident(
        number: Number,
        *,
        to: Annotated[str, typer.Option(metavar="PERSON", help="Who has it from now on; is paged about it.")],
        person: Who = "",
        home: Home = None,
    ) -> None:
        """Give an incident that somebody has in hand to somebody else."""
        from pilothouse.workflows.incidents.incidents import hand_over

        with services.open_control_room(load_settings(home=home)) as room:
            done = hand_over(room, number, to, person=person, now=services.clock.now())
        say(f"{done.name} is with {done.acknowledged_by}.")

    @group.command("mitigate")
    def mitigate(number: Number, *, person: Who = "", text: Text = "", home: Home = None) -> None:
        """Say that the harm has stopped, though the cause is still there."""
        from pilothouse.core.action.incident import IncidentState

        step(number, IncidentState.MITIGATED, person, text, home)

    @group.command("resolve")
    def resolve(number: Number, *, person: Who = "", text: Text = "", home: Home = None) -> None:
        """Say that it has ended."""
        from pilothouse.core.action.incident import IncidentState

        step(number, IncidentState.RESOLVED, person, text, home)

    @group.command("review")
    def review_incident(
        number: Number,
        *,
        person: Who = "",
        cause: Annotated[str, typer.Option(help="Why it happened.")] = "",
        impact: Annotated[str, typer.Option(help="Whom it hit, and how many.")] = "",
        action: Annotated[str, typer.Option(help="What was changed so that it cannot come again.")] = "",
        complaint: Annotated[
            str,
            typer.Option(help="When somebody first complained, for example 2026-11-20T14:05Z, or `none`."),
        ] = "",
        case: Annotated[str, typer.Option(help="The regression case, or why there is none.")] = "",
        home: Home = None,
    ) -> None:
        """Close a resolved incident with what was learnt; every field is required."""
        from pilothouse.workflows.incidents.incidents import review

        answers = {
            "cause": cause,
            "impact": impact,
            "action": action,
            "complaint": complaint,
            "case": case,
        }
        with services.open_control_room(load_settings(home=home)) as room:
            done = review(room, number, answers, person=person, now=services.clock.now())
        say(f"{done.name} is reviewed. {_next_line(done)}")


def _record(incident: Incident) -> dict[str, Any]:
    return {
        "number": incident.number,
        "agent": incident.agent,
        "title": incident.title,
        "severity": incident.severity,
        "state": incident.state.value,
        "rule": incident.rule,
        "task_type": incident.task_type,
        "opened_at": incident.opened_at.isoformat(),
        "acknowledged_by": incident.acknowledged_by,
        "acknowledged_at": incident.acknowledged_at.isoformat() if incident.acknowledged_at else None,
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "level": incident.level,
        "runbook": incident.runbook,
        "traces": list(incident.traces),
        "drill": incident.drill,
        "review": dict(incident.review),
    }


def _next_line(incident: Incident) -> str:
    from pilothouse.core.action.incident import IncidentState

    n = incident.number
    lines = {
        IncidentState.OPEN: f"Take it: `pilothouse incident acknowledge {n} --as PERSON`.",
        IncidentState.ACKNOWLEDGED: f"Then `pilothouse incident mitigate {n}` or `resolve {n}`.",
        IncidentState.MITIGATED: f"Then `pilothouse incident resolve {n}`; back in hand: `acknowledge {n}`.",
        IncidentState.RESOLVED: f"Then `pilothouse incident review {n} --cause … --impact … --action … "
        "--complaint none --case …`; came again: `acknowledge`.",
        IncidentState.REVIEWED: "It is closed.",
    }
    return lines[incident.state]


def _show_list(
    found: Sequence[Incident], names: Mapping[str, Mapping[str, str]], *, everything: bool
) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    if not found:
        say("No incident yet." if everything else "No incident is open. `--all` shows the past.")
        return
    console = result_console(wrap=True)
    rows = [
        (
            one.name,
            one.severity,
            one.state.value,
            one.agent,
            minute(one.opened_at),
            _named(one.acknowledged_by, names.get(one.agent, {})) or one.called,
            escape(one.title),
        )
        for one in found
    ]
    if not console.is_terminal:
        table = Table(
            "", "severity", "state", "agent", "opened", "who", "what", box=None, header_style="bold"
        )
        for row in rows:
            table.add_row(*row)
        print_table(table)
        return
    # Beside six other cells a sentence would be a column of single words, so it has lines of its own.
    name_cells = max(len(row[0]) for row in rows)
    for name, severity, state, agent, opened, who, title in rows:
        console.print(f"[bold]{name:<{name_cells}}[/]  {severity} · {state} · {agent} · {opened} · {who}")
        console.print(Padding(title, (0, 0, 0, name_cells + 2)))


def _named(person: str | None, names: Mapping[str, str]) -> str:
    return names.get(person, person) if person else ""


def _in_nobodys(incident: Incident) -> str:
    if incident.is_given_up:
        return f"nobody; {incident.called}"
    return f"nobody yet; level {incident.level}, round {incident.round_of_turn + 1}"


def _show(found: IncidentView) -> None:
    from rich.markup import escape

    incident, console = found.incident, result_console(wrap=True)
    console.print(f"[bold]{incident.name} · {incident.severity} · {incident.state.value}[/bold]")
    console.print(escape(incident.title))
    facts = (
        ("agent", incident.agent),
        ("rule", incident.rule + (f" · {incident.task_type}" if incident.task_type else "")),
        (
            "in hand",
            _named(incident.acknowledged_by, found.names) or _in_nobodys(incident),
        ),
        ("runbook", incident.runbook or "none: no alert rule foresaw it"),
        (
            "traces",
            "\n".join(f"pilothouse trace {trace}" for trace in incident.traces[:3]) or "none linked",
        ),
        (
            "may act",
            # The id first: it is what `--as` takes.
            ", ".join(f"{one} ({_named(one, found.names)}, {why})" for one, why in found.handlers.items())
            or found.nobody,
        ),
        *incident.review,
    )
    _print_beside(console, [(f"  {name:<10}", text) for name, text in facts])
    console.print()
    _print_beside(
        console,
        [
            (f"{'!' if event.kind == 'loud' else ' '} {second(event.at)} ", event.told(found.names))
            for event in found.events
        ],
    )
    console.print()
    console.print(escape(_next_line(incident)))
    if incident.traces and not incident.drill:
        trace = incident.traces[0]
        console.print(
            escape(
                f"Read the worst: `pilothouse trace {trace}`; where it was recorded, replay it: `pilothouse replay {trace}`, as a case with `--to-case`."
            )
        )


def _print_beside(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print texts beside what they are about; in a terminal a long one goes on under its beginning."""
    from rich.markup import escape
    from rich.table import Table

    if not console.is_terminal:
        for name, text in rows:
            for number, line in enumerate(text.split("\n")):
                console.print(f"{' ' * len(name) if number else name} {escape(line)}", soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, escape(text))
    console.print(grid)
