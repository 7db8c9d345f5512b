# SPDX-License-Identifier: Apache-2.0
"""`pilothouse drill`: plant a fault, see the alert, reach the people; the evidence that monitoring and pager work."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.drill_all import register_all
from pilothouse.interfaces.cli.drill_options import Step, Wait
from pilothouse.interfaces.cli.drill_outages import register_outages
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home, Who
from pilothouse.interruption import stop_between_transactions
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.workflows.drills.records import DrillResult

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `drill` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Plant a fault, see the alert, reach the people: the evidence that monitoring and pager work.",
        rich_markup_mode="rich",
    )
    cli.add_typer(group, name="drill")
    group.callback()(_end_when_told)
    for name, text in (
        (
            "completion-drop",
            "Every second task of a shadow fails: the completion alert must fire and reach somebody.",
        ),
        (
            "cost-burst",
            "Tasks of a shadow cost fifty times as much: the cost alert must fire and reach somebody.",
        ),
        ("lying-completion", "A shadow claims what the system of record contradicts: that alert must fire."),
        (
            "quality-drop",
            "Every fifth answer of a shadow is wrong: the quality alert must fire and reach somebody.",
        ),
        ("dead-pager", "The pager is cut off: the incident must say loudly that nobody can be reached."),
    ):
        _fault(group, services, name, text)

    register_outages(group, services, tell=_tell, show=_show)
    register_all(group, services, tell=_tell)

    @group.command("correction")
    def correction(
        *,
        into: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER", help="Dataset for the case; the charter's labelled one by default."
            ),
        ] = None,
        agent: AgentOption = None,
        wait: Wait = 7_200.0,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Flag a real output as a user would; a reviewer must correct it, and a regression case must come of it."""
        from pilothouse.workflows.drills.correction import dataset_of_corrections, drill_correction
        from pilothouse.workflows.ground.agents import choose_agent

        settings = load_settings(home=home)
        with services.open_control_room(settings) as room, services.open_curation(settings) as desk:
            name = choose_agent(room.installation, agent)
            folder = into or dataset_of_corrections(room, desk.directory.charter(name))
            done = drill_correction(room, desk, name, folder, wait_s=wait, tell=_tell)
        _show(done, as_json=as_json)

    @group.command("page")
    def page(
        *, agent: AgentOption = None, wait: Wait = 7_200.0, home: Home = None, as_json: AsJson = False
    ) -> None:
        """Call every level of the escalation path; each must acknowledge within its own time."""
        from pilothouse.workflows.drills.people_reached import drill_page
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_page(room, name, wait_s=wait, tell=_tell)
        _show(done, as_json=as_json)

    @group.command("runbook")
    def runbook(
        path: Annotated[str, typer.Argument(help="Runbook as the charter's alerts name it.")],
        *,
        agent: AgentOption = None,
        person: Who = "",
        wait: Wait = 7_200.0,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Rehearse a runbook: somebody acknowledges, follows its steps and resolves."""
        from pilothouse.workflows.drills.people_reached import drill_runbook
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_runbook(room, name, path, person=person, wait_s=wait, tell=_tell)
        _show(done, as_json=as_json)

    @group.command("game-day")
    def game_day(
        *, agent: AgentOption = None, wait: Wait = 7_200.0, home: Home = None, as_json: AsJson = False
    ) -> None:
        """Plant three faults that the operations team alone must take, name and end: the proof of a handoff."""
        from pilothouse.workflows.drills.rehearsals import drill_game_day
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_game_day(room, name, wait_s=wait, tell=_tell)
        _show(done, as_json=as_json)

    @group.command("model-upgrade")
    def model_upgrade(
        *, agent: AgentOption = None, person: Who = "", home: Home = None, as_json: AsJson = False
    ) -> None:
        """Rehearse a model update: a gate decided, who approves says yes, and a shadow is rolled back within 2 seconds."""
        from pilothouse.workflows.drills.rehearsals import drill_model_upgrade
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_model_upgrade(room, name, person=person, now=services.clock.now())
        _show(done, as_json=as_json)

    @group.command("drift")
    def drift(*, agent: AgentOption = None, home: Home = None, as_json: AsJson = False) -> None:
        """Change the inputs of a shadow: the weekly tests must notice; nobody is paged, for drift buys labels."""
        from pilothouse.workflows.drills.rehearsals import drill_drift
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_drift(room, name, now=services.clock.now())
        _show(done, as_json=as_json)

    @group.command("owner-powers")
    def owner_powers(
        *, agent: AgentOption = None, person: Who = "", home: Home = None, as_json: AsJson = False
    ) -> None:
        """The owner pauses a shadow of the agent and rolls it back; each must be obeyed within 2 seconds, and the owner may approve."""
        from pilothouse.workflows.drills.people_reached import drill_owner_powers
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            name = choose_agent(room.installation, agent)
            done = drill_owner_powers(room, name, person=person, now=services.clock.now())
        _show(done, as_json=as_json)


def _end_when_told(context: typer.Context) -> None:
    """Let a stop by `kill`, by a job's time limit or by a closed terminal end a drill as Ctrl-C does.

    Otherwise its incident outlives it, and a running server goes on calling people about it.
    """
    context.with_resource(stop_between_transactions((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))


def _fault(group: typer.Typer, services: Services, name: str, text: str) -> None:
    @group.command(name, help=text)
    def fault(
        *,
        agent: AgentOption = None,
        wait: Wait = 60.0,
        to_step: Step = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        from pilothouse.workflows.drills.faults import drill_fault
        from pilothouse.workflows.ground.agents import choose_agent

        with services.open_control_room(load_settings(home=home)) as room:
            chosen = choose_agent(room.installation, agent)
            done = drill_fault(
                room, chosen, name, wait_s=wait, now=services.clock.now(), tell=_tell, to_step=to_step
            )
        _show(done, as_json=as_json)


def _tell(line: str) -> None:
    say(f"  {line}", err=True)


def _show(done: DrillResult, *, as_json: bool) -> None:
    if as_json:
        record = {
            "drill": done.name,
            "passed": done.passed,
            "said": done.sentence,
            "incidents": list(done.incidents),
        }
        print_json(record)
    else:
        say(f"Drill {done.name} {'passed' if done.passed else 'FAILED'}: {done.sentence}")
        for number in done.incidents:
            say(f"  `pilothouse incident show {number}` shows the timeline.")
    if not done.passed:
        raise typer.Exit(1)
