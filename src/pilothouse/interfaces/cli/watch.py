# SPDX-License-Identifier: Apache-2.0
"""`pilothouse watch`: what each detector says, how often it cries wolf, and after how many days it notices what."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from pilothouse.interfaces.cli.consoles import print_json, result_console, say
from pilothouse.interfaces.cli.options import Agent, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


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
        agent: Agent = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show every detector of an agent with its line, its false alarms and its detection delay at the real volume."""
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import newest_verdict
        from pilothouse.workflows.watch.status import watch_status

        with services.open_watch(load_settings(home=home)) as watch:
            name = choose_agent(watch.room.installation, agent)
            found = watch_status(
                watch.room.watch,
                watch.directory.charter(name),
                services.clock.now().date(),
                verdict=newest_verdict(watch.room.installation.ledger, name),
            )
        if as_json:
            print_json(asdict(found))
        else:
            from pilothouse.interfaces.cli.watch_text import show_watch

            show_watch(found, result_console(wrap=True))

    @group.command("tick")
    def tick(*, home: Home = None, as_json: AsJson = False) -> None:
        """Count what is finished now, as `pilothouse up` does every minute; again at once it changes nothing."""
        from pilothouse.workflows.watch.missed import missed_sentence
        from pilothouse.workflows.watch.tick import run_watch

        with services.open_watch(load_settings(home=home)) as watch:
            done = run_watch(watch, services.clock.now())
        if as_json:
            print_json(asdict(done))
        else:
            say(
                f"Counted {done.days} finished days, opened {done.opened} incidents, wrote {done.evidence} records of "
                "evidence."
            )
            if done.missed:
                say(f"! {missed_sentence(done.missed)} `pilothouse watch status` keeps them for eight weeks.")
