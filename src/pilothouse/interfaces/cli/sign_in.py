# SPDX-License-Identifier: Apache-2.0
"""`pilothouse sign-in PERSON`: print a link that signs one person in, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `sign-in` to the command tree."""

    @cli.command("sign-in")
    def sign_in(
        person: Annotated[
            str, typer.Argument(help="Person id under `people` of a charter in force, or the identity.")
        ],
        *,
        page: Annotated[
            str, typer.Option(metavar="PATH", help="Page that the link leads to, for example `/review`.")
        ] = "/",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Print a link that signs a person in to the pages, once, within 15 minutes.

        Whoever may read the data folder may do this; it is recorded with your account's name.
        """
        settings = load_settings(home=home)
        if not page.startswith("/"):
            raise UsageError(
                f"a page's address begins with a slash, and {page!r} does not",
                remedy="Copy what stands behind the server's name, for example `--page /review`.",
            )
        with services.open_sign_in(settings) as people:
            visitor, secret = people.issue_link(person, actor=command_line_actor())
        base = services.server_address(settings) or f"http://{settings.host}:{settings.port}"
        link = f"{base}/sign-in/{secret}"
        link += f"?next={quote(page, safe='/')}" if page != "/" else ""
        if as_json:
            print_json({"identity": visitor.identity, "name": visitor.name, "link": link})
            return
        say(link)
        say(
            f"  signs in {visitor.name} ({visitor.identity}), once, within 15 minutes; hand it to nobody else",
            err=True,
        )
        if services.server_address(settings) is None:
            typer.echo("  no server is running: start it with `pilothouse up`", err=True)
