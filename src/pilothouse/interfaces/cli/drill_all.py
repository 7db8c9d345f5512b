# SPDX-License-Identifier: Apache-2.0
"""`pilothouse drill all`: every fault one after the other, with one line each and one exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.drill_options import Command, Runs, Wait
from pilothouse.interfaces.cli.drill_outages import OutageDrill, hold_outage
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register_all"]

Integrations = Annotated[
    list[str] | None,
    typer.Option("--integration", metavar="NAME", help="Integration that is down too; may be repeated."),
]


def register_all(group: typer.Typer, services: Services, *, tell: Callable[[str], None]) -> None:
    """Add `drill all` to the group."""

    @group.command("all")
    def every(
        command: Command = None,
        *,
        integration: Integrations = None,
        agent: AgentOption = None,
        runs: Runs = 1,
        wait: Wait = 10.0,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Plant every fault one after the other: exit 0 when all were noticed and reached somebody, 1 when one was not.

        With the agent's own command after `--` the gateway also hears nothing of any model while it works, and each
        named integration is down.
        """
        from pilothouse.workflows.drills.every_fault import drill_all, drilled
        from pilothouse.workflows.ground.agents import choose_agent

        settings = load_settings(home=home)
        with services.open_control_room(settings) as room:
            name = choose_agent(room.installation, agent)
            drill = OutageDrill(command=command, runs=runs, wait_s=wait, tell=tell)
            hold = partial(hold_outage, services, settings, room, name)
            outages = []
            if command:
                outages.append(("model-timeout", partial(hold, drill)))
            outages += [
                (f"tool-outage {one}", partial(hold, replace(drill, integration=one)))
                for one in integration or ()
            ]
            found = drill_all(room, name, wait_s=wait, tell=tell, outages=outages)
        if as_json:
            records = [
                {
                    "drill": one.name,
                    "passed": one.passed,
                    "said": one.sentence,
                    "incidents": list(one.incidents),
                }
                for one in found
            ]
            print_json(records)
        else:
            for one in found:
                say(f"{'✓' if one.passed else '✗ FAILED'} {one.name}: {one.sentence}")
            say(drilled(found))
        if not all(one.passed for one in found):
            raise typer.Exit(1)
