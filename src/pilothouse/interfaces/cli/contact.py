# SPDX-License-Identifier: Apache-2.0
"""`pilothouse contact` and `people`: where people are reached, and who is still there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

Person = Annotated[
    str, typer.Argument(help="Person id of a charter, or an identity such as oidc:dana@corp.example.")
]
Channel = Annotated[
    str,
    typer.Option("--channel", metavar="NAME", help="chat, mail, phone, sms or pager: the words of `via`."),
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add both groups to the command tree."""
    contact = typer.Typer(no_args_is_help=True, help="Where people are reached when an incident opens.")
    cli.add_typer(contact, name="contact")
    people = typer.Typer(no_args_is_help=True, help="Whether the people of the charters are still there.")
    cli.add_typer(people, name="people")
    _contact_commands(contact, services)

    @people.command("check")
    def check(
        directory: Annotated[Path, typer.Option(help="Export of the directory: CSV with `identity,active`.")],
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Hold the people of every charter against the directory; whoever left is replaced by the substitute.

        A running server reads the same file again whenever it is replaced, and opens an incident about who left.
        """
        from pilothouse.workflows.people.directory import check_directory, read_directory

        active = read_directory(directory)
        with services.open_installation(load_settings(home=home)) as installation:
            found = check_directory(
                installation,
                active,
                services.clock.now(),
                actor=command_line_actor(),
                export=directory,
            )
        if as_json:
            print_json(found)
            return
        for agent, gone in found.items():
            said = f"gone: {', '.join(gone)}" if gone else "everybody of the charter is active"
            say(f"{agent}: {said}")
        if not found:
            typer.echo("No charter is in force, so there is nobody to look for.")


def _contact_commands(contact: typer.Typer, services: Services) -> None:
    @contact.command("set")
    def set_contact(
        person: Person,
        url: Annotated[
            str,
            typer.Argument(
                help="Address of a service, for example mailto://…, json://…, slack://…; `-` reads it from stdin."
            ),
        ],
        *,
        channel: Channel = "",
        zone: Annotated[
            str, typer.Option(help="Time zone for on-call hours, for example Europe/Berlin.")
        ] = "UTC",
        home: Home = None,
    ) -> None:
        """Set where a person is reached; the address is kept in the ledger and never shown again."""
        from pilothouse.workflows.people.contacts import set_contact as change

        address = typer.get_text_stream("stdin").readline().strip() if url == "-" else url
        with services.open_control_room(load_settings(home=home)) as room:
            done = change(
                room,
                person,
                address,
                channel=channel,
                zone=zone,
                actor=command_line_actor(),
                now=services.clock.now(),
            )
            shown = room.notifier.masked(done.url)
        say(
            f"{person} is reached by {done.channel} at {shown} ({done.zone}). Try it: `pilothouse contact test {person}`."
        )

    @contact.command("list")
    def list_contacts(*, home: Home = None, as_json: AsJson = False) -> None:
        """List who is reached where, without the credentials."""
        from rich.table import Table

        with services.open_control_room(load_settings(home=home)) as room:
            rows = [
                (one.identity, one.channel, room.notifier.masked(one.url), one.zone)
                for one in room.contacts.all()
            ]
        if as_json:
            names = ("identity", "channel", "address", "zone")
            print_json([dict(zip(names, row, strict=True)) for row in rows])
            return
        if not rows:
            typer.echo("Nobody can be reached yet: `pilothouse contact set PERSON URL`.")
            return
        table = Table(box=None, header_style="bold")
        for title in ("identity", "channel", "address", "time zone"):
            table.add_column(title)
        for row in rows:
            table.add_row(*row)
        print_table(table)

    @contact.command("remove")
    def remove(person: Person, *, channel: Channel = "", home: Home = None) -> None:
        """Forget an address of a person, or all of them."""
        from pilothouse.workflows.people.contacts import remove_contact

        with services.open_control_room(load_settings(home=home)) as room:
            count = remove_contact(
                room, person, channel=channel, actor=command_line_actor(), now=services.clock.now()
            )
        say(f"{count} address{'es' if count != 1 else ''} of {person} forgotten.")

    @contact.command("test")
    def test(person: Person, *, home: Home = None) -> None:
        """Send a test message by every channel of a person; exit 1 when one was not taken."""
        from pilothouse.workflows.people.contacts import try_contact

        with services.open_control_room(load_settings(home=home)) as room:
            found = try_contact(room, person, actor=command_line_actor(), now=services.clock.now())
        for channel, refused in found.items():
            say(f"{channel}: {f'not taken: {refused}' if refused else 'taken'}")
        if any(found.values()):
            raise typer.Exit(1)
