# SPDX-License-Identifier: Apache-2.0
"""`pilothouse repair`: name files of the lake that are damaged, and set them aside so that everything else goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `repair` to the command tree."""

    @cli.command("repair")
    def repair(
        *,
        set_aside: Annotated[
            bool,
            typer.Option("--set-aside", help="Take damaged files out; the server must be stopped."),
        ] = False,
        rebuild: Annotated[
            bool,
            typer.Option(
                "--rebuild",
                help="Fold tasks again whose spans came two days late, so that they say it; the server must be stopped.",
            ),
        ] = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Read every file of telemetry and name those that are damaged; with --set-aside take them out, on record."""
        settings = load_settings(home=home)
        if rebuild:
            tasks = services.rebuild_tasks(settings, actor=command_line_actor())
            if as_json:
                print_json({"rebuilt": tasks})
            else:
                say(f"{tasks:,} tasks say something else now.")
            return
        found = services.repair(settings, take_out=set_aside, actor=command_line_actor())
        damaged = found.damaged
        if as_json:
            print_json({"set_aside": set_aside, **asdict(found)})
        else:
            for one in damaged:
                say(f"{one.table}  {one.day}  {one.rows:,} rows  {one.path}")
                say(f"  {one.fault}")
            rows = sum(one.rows for one in damaged)
            if not damaged:
                typer.echo("Every file of telemetry can be read.")
                if found.unrecorded:
                    say(
                        f"  Of {found.unrecorded:,} of them nobody noted what was written: only what cannot be read is found there."
                    )
                else:
                    typer.echo("  Each is what was written.")
            elif set_aside:
                say(
                    f"{len(damaged):,} files with {rows:,} rows set aside in {settings.lake_folder / 'quarantine'}; "
                    "verdicts say which days they miss."
                )
            else:
                say(f"{len(damaged):,} files with {rows:,} rows are damaged. Stop the server, then:")
                typer.echo("  $ pilothouse repair --set-aside")
        if damaged and not set_aside:
            raise typer.Exit(int(ExitStatus.INFRASTRUCTURE))
