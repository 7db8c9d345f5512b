# SPDX-License-Identifier: Apache-2.0
"""`pilothouse credential`: with what the server signs in to outside systems; the agent's process never sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilothouse.core.dates import minute
from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.credentials import Credential

__all__ = ["register"]

Name = Annotated[str, typer.Argument(help="What `mcp-servers.json` calls it: ${credential:NAME}.")]
ACTOR = "pilothouse credential"
MARKS = {
    "valid": "✓ valid",
    "expires soon": "! expires soon",
    "expired": "✗ expired",
    "no end is known": "– no end is known",
}


def register(cli: typer.Typer, services: Services) -> None:
    """Add `credential` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Credentials of outside systems: the server puts them into calls, the agent never has them.",
    )
    cli.add_typer(group, name="credential")

    @group.command("add")
    def add(
        name: Name,
        *,
        env: Annotated[
            str | None,
            typer.Option(metavar="NAME", help="Variable of the server's environment that holds it."),
        ] = None,
        file: Annotated[
            Path | None, typer.Option(help="File that holds it; read anew for each call.")
        ] = None,
        host: Annotated[
            str | None,
            typer.Option(
                metavar="HOST:PORT",
                help="The one host it may be sent to; without it only programs that the server starts get it.",
            ),
        ] = None,
        expires: Annotated[
            datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day on which it works, UTC.")
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Say where a credential stands; another of that name is replaced. The secret itself is kept nowhere."""
        from datetime import timedelta

        from pilothouse.workflows.people.credentials import add_credential

        end = None if expires is None else expires.replace(tzinfo=UTC) + timedelta(days=1)
        now = services.clock.now()
        with services.open_credentials(load_settings(home=home)) as store:
            kept = add_credential(
                store, name, variable=env, file=file, host=host, expires_at=end, actor=ACTOR, now=now
            )
        if as_json:
            print_json(_record(kept, now))
        else:
            whom = f"sent to {kept.host} only" if kept.host else "given to programs that the server starts"
            say(f"{kept.name} is read from {_place(kept)}, and {whom}.")

    @group.command("list")
    def show(*, home: Home = None, as_json: AsJson = False) -> None:
        """List the credentials, with those that end soon first."""
        from pilothouse.workflows.people.credentials import state_of

        now = services.clock.now()
        with services.open_credentials(load_settings(home=home)) as store:
            kept = sorted(store.all(), key=lambda one: (one.expires_at is None, one.expires_at, one.name))
        if as_json:
            print_json([_record(one, now) for one in kept])
            return
        if not kept:
            typer.echo(
                "No credential yet: `pilothouse credential add NAME --env VARIABLE --host HOST:PORT` adds one."
            )
            return
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        for title in ("credential", "read from", "for", "state", "until"):
            table.add_column(title)
        for one in kept:
            until = "–" if one.expires_at is None else minute(one.expires_at)
            table.add_row(
                one.name, _place(one), one.host or "started programs", MARKS[state_of(one, now)], until
            )
        print_table(table)

    @group.command("remove")
    def remove(name: Name, *, home: Home = None) -> None:
        """Forget a credential; calls that need it are refused within 2 seconds."""
        from pilothouse.workflows.people.credentials import remove_credential

        with services.open_credentials(load_settings(home=home)) as store:
            remove_credential(store, name, actor=ACTOR, now=services.clock.now())
        say(f"{name} is forgotten.")


def _place(credential: Credential) -> str:
    return f"variable {credential.variable}" if credential.variable is not None else f"file {credential.file}"


def _record(credential: Credential, now: datetime) -> dict[str, Any]:
    from pilothouse.workflows.people.credentials import state_of

    return {
        "name": credential.name,
        "variable": credential.variable,
        "file": None if credential.file is None else str(credential.file),
        "host": credential.host,
        "expires_at": None if credential.expires_at is None else credential.expires_at.isoformat(),
        "state": state_of(credential, now),
    }
