# SPDX-License-Identifier: Apache-2.0
"""`pilothouse phase`: where an agent is on its way, and the steps that move it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import print_json, result_console, say
from pilothouse.interfaces.cli.options import Agent, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.core.verdict.addition import Addition, AdditionKind
    from pilothouse.core.verdict.phases import Promotion
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.ground.installation import Installation
    from pilothouse.workflows.phases.widening import Widened

__all__ = ["register"]

Person = Annotated[
    str, typer.Option("--as", metavar="PERSON", help="Who you are: a person id of the charter.")
]

TaskType = Annotated[str, typer.Option("--task-type", metavar="NAME", help="A task type that comes in.")]
System = Annotated[str, typer.Option("--integration", metavar="NAME", help="An integration that comes in.")]
Tool = Annotated[str, typer.Option("--tool", metavar="NAME@N", help="A tool that comes in.")]
Users = Annotated[str, typer.Option("--users", metavar="GROUP", help="A group of users that comes in.")]


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
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.rollout import show_rollout
        from pilothouse.workflows.verdict.assess import assess

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
        task_type: TaskType = "",
        integration: System = "",
        tool: Tool = "",
        users: Users = "",
        person: Person = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Take a planned look at the gate: exit 0 it is open, 1 breached, 3 not enough evidence or too early.

        With one of --task-type, --integration, --tool and --users: the gate of what came into the scope, by itself.
        """
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.phases import request_phase

        said = _said(task_type=task_type, integration=integration, tool=tool, users=users)
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            answer = request_phase(
                installation,
                chosen,
                target.value,
                services.clock.now(),
                actor=person or "pilothouse phase request",
                person=person or None,
                addition=_found(installation, chosen, said),
            )
        _say(answer, chosen, said, as_json=as_json)
        raise typer.Exit(int(_exit_status(answer)))

    @group.command("approve")
    def approve(
        agent: Agent = None,
        *,
        person: Person,
        task_type: TaskType = "",
        integration: System = "",
        tool: Tool = "",
        users: Users = "",
        home: Home = None,
    ) -> None:
        """Approve the request that waits; with the last approval needed the phase is entered."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.phases import approve_phase

        said = _said(task_type=task_type, integration=integration, tool=tool, users=users)
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            addition = _found(installation, chosen, said)
            done = approve_phase(installation, chosen, person, services.clock.now(), addition=addition)
        if done.waiting_for:
            say(f"Approved by {', '.join(done.approved_by)}; waits for {', '.join(done.waiting_for)}.")
        else:
            say(
                f"{_whose(chosen, addition)} is in phase {done.target}, approved by {', '.join(done.approved_by)}."
            )

    @group.command("rollback")
    def rollback(
        agent: Agent = None,
        *,
        person: Person,
        reason: Annotated[str, typer.Option(help="Why, in one sentence.")],
        to: Annotated[_Earlier | None, typer.Option(help="The phase; default: the one before.")] = None,
        task_type: TaskType = "",
        integration: System = "",
        tool: Tool = "",
        users: Users = "",
        home: Home = None,
    ) -> None:
        """Take an agent back to an earlier phase, or begin the present one anew; the stable days start again."""
        from pilothouse.core.charter.operations import phase_in_words
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.phases import roll_back_phase

        said = _said(task_type=task_type, integration=integration, tool=tool, users=users)
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            addition = _found(installation, chosen, said)
            event = roll_back_phase(
                installation,
                chosen,
                services.clock.now(),
                person=person,
                reason=reason,
                to=to.value if to else None,
                addition=addition,
            )
        say(f"{_whose(chosen, addition)} is in {phase_in_words(event.phase)}.")

    @group.command("expand")
    def expand(
        agent: Agent = None,
        *,
        task_type: TaskType = "",
        integration: System = "",
        tool: Tool = "",
        users: Users = "",
        person: Person = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Ask for something to come into the scope, before the charter has it: exit 0 it may, 3 not yet, with the first day.

        When it may and the owner asks (--as), it comes in: in phase 1, by itself, and counted apart until it passes phase 3.
        """
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.phases.widening import ask_to_widen

        said = _said(task_type=task_type, integration=integration, tool=tool, users=users)
        if said is None:
            raise UsageError(
                "say one thing that would come in",
                remedy="For example `pilothouse phase expand --task-type refunds`.",
            )
        with services.open_installation(load_settings(home=home)) as installation:
            chosen = choose_agent(installation, agent)
            found = ask_to_widen(
                installation, chosen, *said, services.clock.now(), actor=person or "pilothouse phase expand"
            )
        _say_widened(found, chosen, said, as_json=as_json)
        allowed = found.answer.allowed
        raise typer.Exit(int(ExitStatus.HOLDS if allowed else ExitStatus.NOT_ENOUGH_EVIDENCE))

    cli.add_typer(group)


def _said(**options: str) -> tuple[AdditionKind, str] | None:
    """Return the one thing that options name, or None."""
    from pilothouse.core.verdict.addition import AdditionKind

    named = [(AdditionKind(option.replace("_", " ")), name) for option, name in options.items() if name]
    if len(named) > 1:
        raise UsageError(
            "only one thing comes in at a time", remedy="Leave all but one of the options out, and ask again."
        )
    return named[0] if named else None


def _found(installation: Installation, agent: str, said: tuple[AdditionKind, str] | None) -> Addition | None:
    from pilothouse.workflows.phases.additions import find_addition

    return None if said is None else find_addition(installation.ledger, agent, *said)


def _option(said: tuple[AdditionKind, str]) -> str:
    """Return how something that came into the scope is named on the command line."""
    what, name = said
    return f"--{what.replace(' ', '-')} {name}"


def _whose(agent: str, addition: Addition | None) -> str:
    return agent if addition is None else f"The {addition.label} of {agent}"


def _say_widened(found: Widened, agent: str, said: tuple[AdditionKind, str], *, as_json: bool) -> None:
    what, name = said
    answer = found.answer
    if as_json:
        record = {
            "what": what,
            "name": name,
            "allowed": answer.allowed,
            "is_open": found.is_open,
            "waits_for": found.waits_for,
            "earliest": answer.earliest.isoformat() if answer.earliest else None,
            "sentence": answer.sentence,
            "missing": answer.missing,
        }
        print_json(record)
        return
    console = result_console(wrap=True)
    console.print(answer.sentence, markup=False)
    option = _option(said)
    if found.is_open:
        text = f"The {what} {name} is in phase 1 by itself: write it into the charter, then `pilothouse phase status {agent}`."
        console.print(text, markup=False)
    elif answer.allowed:
        for person in found.waits_for:
            console.print(f"  pilothouse phase expand {agent} {option} --as {person}", markup=False)


def _say(answer: Promotion, agent: str, said: tuple[AdditionKind, str] | None, *, as_json: bool) -> None:
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
        print_json(record)
        return
    console = result_console(wrap=True)
    console.print(answer.sentence, markup=False)
    if answer.overdue_since:
        console.print(f"The longest stay ended on {day(answer.overdue_since)}: overdue.", markup=False)
    whose = agent if said is None else f"{agent} {_option(said)}"
    if answer.approvers:
        console.print(f"It waits for {' and '.join(answer.approvers)}:", markup=False)
        for person in answer.approvers:
            console.print(f"  pilothouse phase approve {whose} --as {person}", markup=False)
    elif answer.missing:
        console.print(f"  pilothouse phase status {agent}", markup=False)


def _exit_status(answer: Promotion) -> ExitStatus:
    from pilothouse.core.verdict.phases import Answer

    if answer.answer is Answer.ELIGIBLE:
        return ExitStatus.HOLDS
    if answer.answer is Answer.BREACHED:
        return ExitStatus.BREACHED
    return ExitStatus.USAGE if answer.answer is Answer.REFUSED else ExitStatus.NOT_ENOUGH_EVIDENCE
