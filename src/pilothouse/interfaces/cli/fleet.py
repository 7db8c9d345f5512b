# SPDX-License-Identifier: Apache-2.0
"""`pilothouse fleet`: every agent with a charter at one look, worst first."""

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
    """Add `fleet` to the command tree."""

    @cli.command("fleet")
    def fleet(
        *,
        capabilities: Annotated[
            bool,
            typer.Option(
                "--capabilities", help="Also show six capabilities: pilot-only or production-scale."
            ),
        ] = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Show every agent: stage, worst item, owner, stable days, value."""
        from pilothouse.reports.terminal_portfolio import render_portfolio
        from pilothouse.reports.view_models import page_json
        from pilothouse.workflows.reports.show import Shows

        with services.open_installation(load_settings(home=home)) as installation:
            page = Shows(installation).portfolio()
        if as_json:
            typer.echo(page_json(page))
        else:
            render_portfolio(page, result_console(wrap=True), capabilities=capabilities)
