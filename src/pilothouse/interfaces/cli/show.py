# SPDX-License-Identifier: Apache-2.0
"""`pilothouse show`: a page of the server in the terminal, from the same view model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.interfaces.cli.options import Agent, AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["OWN_COMMANDS", "register"]

OWN_COMMANDS = {
    "fleet": "pilothouse fleet",
    "review": "pilothouse review",
    "incidents": "pilothouse incident list",
    "health": "pilothouse doctor",
    "agent": "pilothouse verdict",
    "readiness": "pilothouse verdict --full",
    "tasks": "pilothouse traces",
    "rollout": "pilothouse phase status",
    "value": "pilothouse value show",
    "executive": "pilothouse report executive",
    "sprint": "pilothouse report sprint",
    "sign": "pilothouse evidence list",
}
"""Pages that other commands print, by the last part of their address."""


def register(cli: typer.Typer, services: Services) -> None:
    """Add `show` to the command tree."""

    @cli.command("show")
    def show(
        page: Annotated[
            str,
            typer.Argument(
                help="controls, evals, integrations, ownership, runs, waivers, watch; or audit, settings, tour."
            ),
        ],
        agent: Agent = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show a page of the server here: the same words and numbers, or its JSON."""
        own = OWN_COMMANDS.get(page)
        if own is not None:
            raise UsageError(
                f"the page {page!r} has a command of its own", remedy=f"Type `{own}`.", subject=page
            )
        from pilothouse.reports.terminal_sections import render_sections
        from pilothouse.reports.view_models import page_json

        with services.open_page_desk(load_settings(home=home)) as desk:
            found = desk.show(page, agent)
        if as_json:
            typer.echo(page_json(found))
        else:
            render_sections(found, result_console(wrap=True))
