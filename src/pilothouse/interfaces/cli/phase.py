# SPDX-License-Identifier: Apache-2.0
"""`pilothouse phase`: where an agent is on its way, and the steps that move it."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.verdict.phases import Promotion
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

Agent = Annotated[str | None, typer.Argument(help="Agent id; may be left out while only one has a charter.")]
Person = Annotated[
    str, typer.Option("--as", metavar="PERSON", help="Who you are: a person id of the charter.")
]


class _Target(StrEnum):
    """Phases that can be asked for."""

    ONE = "1"
    TWO = "2"
    THREE = "3"


class _Earlier(StrEnum):
    """Phases that can be gone back to."""

    PILOT = "pilot"
    ONE = "1"
    TWO = "2"
    THREE = "3"


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `phase` commands to the command tree."""
    group = typer.Typer(name="phase", help="See and move the phase of an agent.", no_args_is_help=True)

    @group.command("status")
    def status(agent: Agent = None, *, home: Home = None, as_json: AsJson = False) -> None:
        """Show the phase, what the next one asks for, and the clock of stable days."""
        from pilothouse.reports.terminal_rollout import render_rollout
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.assess import assess
        from pilothouse.workflows.rollout import show_rollout

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            page = show_rollout(
                installation, assess(installation, chosen, services.clock.now(), freeze=False)
            )
        if as_json:
            typer.echo(page_json(page))
        else:
            render_rollout(page, result_console(wrap=True))

    @group.command("request")
    def request(
        target: Annotated[_Target, typer.Argument(help="The phase to enter.")],
        agent: Agent = None,
        *,
        person: Person = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Take a planned look at the gate: exit 0 it is open, 1 breached, 3 not enough evidence or too early."""
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.phases import request_phase

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            answer = request_phase(
                installation,
                chosen,
                target.value,
                services.clock.now(),
                actor=person or "pilothouse phase request",
            )
        _say(answer, chosen, as_json=as_json)
        raise typer.Exit(int(_exit_status(answer)))

    @group.command("approve")
    def approve(agent: Agent = None, *, person: Person, home: Home = None) -> None:
        """Approve the request that waits; with the last approval needed the phase is entered."""
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.phases import approve_phase

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            done = approve_phase(installation, chosen, person, services.clock.now())
        if done.waiting_for:
            typer.echo(f"Approved by {', '.join(done.approved_by)}; waits for {', '.join(done.waiting_for)}.")
        else:
            typer.echo(f"{chosen} is in phase {done.target}, approved by {', '.join(done.approved_by)}.")

    @group.command("rollback")
    def rollback(
        agent: Agent = None,
        *,
        person: Person,
        reason: Annotated[str, typer.Option(help="Why, in one sentence.")],
        to: Annotated[_Earlier | None, typer.Option(help="The phase; default: the one before.")] = None,
        home: Home = None,
    ) -> None:
        """Take an agent back to an earlier phase, or begin the present one anew; the stable days start again."""
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.phases import roll_back_phase

        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            event = roll_back_phase(
                installation,
                chosen,
                services.clock.now(),
                person=person,
                reason=reason,
                to=to.value if to else None,
            )
        typer.echo(f"{chosen} is in {'the pilot' if event.phase == 'pilot' else f'phase {event.phase}'}.")

    @group.command("expand")
    def expand(
        agent: Agent = None,
        *,
        task_type: Annotated[str, typer.Option(help="Task type that would come in.")] = "",
        tool: Annotated[str, typer.Option(help="Tool that would come in.")] = "",
        users: Annotated[str, typer.Option(help="Group of users that would come in.")] = "",
        person: Person = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Ask whether the scope may be widened: exit 0 it may, 3 not yet, with the first day on which it may be asked."""
        from pilothouse.workflows.agents import choose_agent
        from pilothouse.workflows.phases import ask_to_widen

        asked = {"task type": task_type, "tool": tool, "users": users}
        said = [f"{kind} {name}" for kind, name in asked.items() if name]
        if len(said) != 1:
            raise UsageError(
                "say one thing that would come in",
                remedy="For example `pilothouse phase expand --task-type refunds`.",
            )
        with services.open_installation(load_settings(home=home)) as installation:
            answer = ask_to_widen(
                installation,
                choose_agent(installation, agent),
                said[0],
                services.clock.now(),
                actor=person or "pilothouse phase expand",
            )
        if as_json:
            record = {
                "what": said[0],
                "allowed": answer.allowed,
                "earliest": answer.earliest.isoformat() if answer.earliest else None,
                "sentence": answer.sentence,
                "missing": answer.missing,
            }
            typer.echo(json.dumps(record, ensure_ascii=False))
        else:
            result_console(wrap=True).print(answer.sentence, markup=False)
        raise typer.Exit(int(ExitStatus.HOLDS if answer.allowed else ExitStatus.NOT_ENOUGH_EVIDENCE))

    cli.add_typer(group)


def _say(answer: Promotion, agent: str, *, as_json: bool) -> None:
    if as_json:
        record = {
            "agent": agent,
            "answer": str(answer.answer),
            "target": answer.target,
            "look": answer.look,
            "next_look_at": answer.next_look_at.isoformat() if answer.next_look_at else None,
            "overdue_since": answer.overdue_since.isoformat() if answer.overdue_since else None,
            "sentence": answer.sentence,
            "missing": answer.missing,
            "waived": answer.waived,
            "approvers": answer.approvers,
        }
        typer.echo(json.dumps(record, ensure_ascii=False))
        return
    console = result_console(wrap=True)
    console.print(answer.sentence, markup=False)
    if answer.overdue_since:
        console.print(f"The longest stay ended on {answer.overdue_since:%Y-%m-%d}: overdue.", markup=False)
    if answer.approvers:
        console.print(f"It waits for {' and '.join(answer.approvers)}:", markup=False)
        for person in answer.approvers:
            console.print(f"  pilothouse phase approve {agent} --as {person}", markup=False)
    elif answer.missing:
        console.print(f"  pilothouse phase status {agent}", markup=False)


def _exit_status(answer: Promotion) -> ExitStatus:
    from pilothouse.core.verdict.phases import Answer

    if answer.answer is Answer.ELIGIBLE:
        return ExitStatus.HOLDS
    if answer.answer is Answer.BREACHED:
        return ExitStatus.BREACHED
    return ExitStatus.USAGE if answer.answer is Answer.REFUSED else ExitStatus.NOT_ENOUGH_EVIDENCE
