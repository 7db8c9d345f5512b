# SPDX-License-Identifier: Apache-2.0
"""`pilothouse show`: a page of the server in the terminal, from the same view model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


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
        agent: Annotated[
            str | None, typer.Argument(help="Agent id; may be left out while only one has a charter.")
        ] = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show a page of the server here: the same words and numbers, or its JSON."""
        from pilothouse.reports.terminal_sections import render_sections
        from pilothouse.reports.view_models import page_json

        with services.open_page_desk(load_settings(home=home)) as desk:
            found = desk.show(page, agent)
        if as_json:
            typer.echo(page_json(found))
        else:
            render_sections(found, result_console(wrap=True))
