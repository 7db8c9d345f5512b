# SPDX-License-Identifier: Apache-2.0
"""`pilothouse provider`: where models are served, and where the server finds each credential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pilothouse.errors import UnknownName
from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.gateway import Provider

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `provider` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Providers: where the model gateway sends calls, and with whose credential.",
    )
    cli.add_typer(group, name="provider")

    @group.command("add")
    def add(
        name: Annotated[str, typer.Argument(help="As `model.pin.provider` of a charter says it.")],
        url: Annotated[str, typer.Argument(help="Base address, for example https://api.openai.com/v1.")],
        *,
        protocol: Annotated[
            Literal["openai", "anthropic"] | None,
            typer.Option(help="What it speaks. Default: anthropic if its name says so, else openai."),
        ] = None,
        credential_env: Annotated[
            str | None,
            typer.Option(
                metavar="NAME", help="Variable of the server's environment that holds the credential."
            ),
        ] = None,
        credential_file: Annotated[Path | None, typer.Option(help="File that holds the credential.")] = None,
        region: Annotated[
            str | None, typer.Option(help="Where it answers, as `residency.regions` says it.")
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Say where a provider is; another of that name is replaced. The credential itself is kept nowhere."""
        from pilothouse.ports.gateway import WireProtocol
        from pilothouse.workflows.gateway.keys import add_provider

        guessed = "anthropic" if "anthropic" in f"{name} {url}".lower() else "openai"
        with services.open_gateway_store(load_settings(home=home)) as store:
            provider = add_provider(
                store,
                name,
                url,
                protocol=WireProtocol(protocol or guessed),
                credential_variable=credential_env,
                credential_file=credential_file,
                region=region,
                actor=command_line_actor(),
                now=services.clock.now(),
            )
        if as_json:
            print_json(_record(provider))
        else:
            say(
                f"{provider.name} is at {provider.url} ({provider.protocol.value}), credential from {_credential(provider)}."
            )

    @group.command("list")
    def show(*, home: Home = None, as_json: AsJson = False) -> None:
        """List the providers."""
        with services.open_gateway_store(load_settings(home=home)) as store:
            providers = store.providers()
        if as_json:
            print_json([_record(one) for one in providers])
            return
        if not providers:
            typer.echo(
                "No provider yet: `pilothouse provider add NAME URL --credential-env VARIABLE` adds one."
            )
            return
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        for title in ("provider", "protocol", "address", "credential", "region"):
            table.add_column(title)
        for one in providers:
            table.add_row(one.name, one.protocol.value, one.url, _credential(one), one.region or "unknown")
        print_table(table)

    @group.command("remove")
    def remove(
        name: Annotated[str, typer.Argument(help="Name of the provider.")], *, home: Home = None
    ) -> None:
        """Forget a provider; calls that need it are refused within 2 seconds."""
        with services.open_gateway_store(load_settings(home=home)) as store:
            if not store.remove_provider(name, at=services.clock.now(), actor=command_line_actor()):
                raise UnknownName.among(
                    "provider",
                    name,
                    [one.name for one in store.providers()],
                    remedy="List them: `pilothouse provider list`.",
                )
        say(f"{name} is forgotten.")


def _credential(provider: Provider) -> str:
    if provider.credential_variable is not None:
        return f"variable {provider.credential_variable}"
    return f"file {provider.credential_file}" if provider.credential_file is not None else "none"


def _record(provider: Provider) -> dict[str, object]:
    return {
        "name": provider.name,
        "url": provider.url,
        "protocol": provider.protocol.value,
        "credential_variable": provider.credential_variable,
        "credential_file": None if provider.credential_file is None else str(provider.credential_file),
        "region": provider.region,
    }
