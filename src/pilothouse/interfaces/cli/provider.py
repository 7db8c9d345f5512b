# SPDX-License-Identifier: Apache-2.0
"""`pilothouse provider`: where models are served, and where the server finds each credential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pilothouse.errors import ExitStatus, UnknownName, UsageError
from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AgentOption, AsJson, Home
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
        settings = load_settings(home=home)
        with services.open_gateway_store(settings) as store:
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
        if credential_env is not None and services.server_address(settings) is not None:
            say(
                f"  a server is running, and reads {credential_env} in the environment that it was started with: where it was not set "
                "there, start it again",
                err=True,
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

    @group.command("check")
    def check(*, agent: AgentOption = None, home: Home = None, as_json: AsJson = False) -> None:
        """Hold the deployment that a charter declares of its model against what the server lists, and put it on record."""
        from pilothouse.runtime.gateway.model_listing import fetch_listing
        from pilothouse.workflows.gateway.deployments import measure_deployment
        from pilothouse.workflows.ground.agents import choose_agent
        from pilothouse.workflows.ground.in_force import charter_in_force

        settings = load_settings(home=home)
        with services.open_gateway_store(settings) as store:
            providers = {one.name: one for one in store.providers()}
        with services.open_installation(settings) as installation:
            charter = charter_in_force(installation.ledger, choose_agent(installation, agent))
            found = measure_deployment(charter, providers, fetch_listing, services.clock.now())
            if found is not None:
                installation.ledger.add_evidence([found])
        if found is None:
            raise UsageError(
                f"the charter of {charter.agent} declares no deployment",
                remedy="Declare it: `model.pin.deployment: {weights: REVISION, engine: NAME VERSION, quantisation: KIND}`.",
                subject=charter.agent,
            )
        if as_json:
            typer.echo(found.model_dump_json(indent=2))
        else:
            say(f"{found.detail}.")
        ended = {True: ExitStatus.HOLDS, False: ExitStatus.BREACHED, None: ExitStatus.NOT_ENOUGH_EVIDENCE}
        raise typer.Exit(int(ended[found.passed]))

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
