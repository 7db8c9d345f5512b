# SPDX-License-Identifier: Apache-2.0
"""`pilothouse feedback`: the key with which it is sent, and what users said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import minute
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

SHOWN_MAX = 50
"""Things listed at once: a screen of them."""


def register(cli: typer.Typer, services: Services) -> None:
    """Add the `feedback` group to the command tree."""
    group = typer.Typer(help="What users say about finished tasks.", no_args_is_help=True)
    cli.add_typer(group, name="feedback")

    @group.command("key")
    def key(home: Home = None) -> None:
        """Print the key with which servers send feedback and make the tokens of single tasks."""
        say(services.feedback_key(load_settings(home=home)))

    @group.command("list")
    def list_feedback(
        agent: Annotated[str | None, typer.Argument(help="Agent id.")] = None,
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """List what users said, newest first."""
        with services.open_curation(load_settings(home=home)) as curation:
            said = curation.feedback(agent)[:SHOWN_MAX]
        if as_json:
            rows = [
                {
                    "task": one.trace_id,
                    "kind": one.kind.value,
                    "value": one.value,
                    "text": one.text,
                    "at": one.at.isoformat(),
                }
                for one in said
            ]
            print_json(rows)
            return
        for one in said:
            value = "" if one.value is None else f" {one.value:+.0f}"
            text = "".join(sign if sign.isprintable() else " " for sign in one.text)[:120]
            say(f"{minute(one.at)}  {one.trace_id}  {one.kind.value}{value}  {text}")
        if not said:
            typer.echo("Nobody said anything yet.")
