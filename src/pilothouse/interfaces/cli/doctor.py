# SPDX-License-Identifier: Apache-2.0
"""`pilothouse doctor`: what an experienced operator would look at, with what to type about it."""

from __future__ import annotations

import typer
from rich.markup import escape

from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli.consoles import result_console
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.cli.services import Services
from pilothouse.settings import load_settings

__all__ = ["register"]

MARKS = {"ok": "● ok", "warning": "▲ look", "failed": "■ failed"}


def register(cli: typer.Typer, services: Services) -> None:
    """Add `doctor` to the command tree."""

    @cli.command("doctor")
    def doctor(
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Check settings, disk, storage, server, charters and telemetry; exit 4 when something failed."""
        checkup = services.examine(load_settings(home=home))
        if as_json:
            typer.echo(checkup.model_dump_json(indent=2, ensure_ascii=True))
        else:
            console = result_console()
            for check in checkup.checks:
                console.print(f"{MARKS[check.state]:<9} {escape(check.name)}: {escape(check.sentence)}")
                if check.remedy:
                    console.print(f"          [dim]→ {escape(check.remedy)}[/dim]")
        if checkup.failed:
            raise typer.Exit(int(ExitStatus.INFRASTRUCTURE))
