# SPDX-License-Identifier: Apache-2.0
"""`pilothouse key`: the virtual keys that agents show to the model gateway."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilothouse.core.dates import day, minute
from pilothouse.errors import UsageError, nearest_name
from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services
    from pilothouse.ports.gateway import VirtualKey

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `key` to the command tree."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Virtual keys: what an agent shows to the model gateway instead of a provider's.",
    )
    cli.add_typer(group, name="key")

    @group.command("add")
    def add(
        agent: Annotated[str, typer.Argument(help="Agent that it stands for, as its charter says.")],
        *,
        model: Annotated[
            list[str] | None,
            typer.Option(
                help="Exact model it may ask for; may be repeated. Default: those the charter pins."
            ),
        ] = None,
        environment: Annotated[
            str | None,
            typer.Option(
                help="Where the agent runs; in `pilot` another model's answer is only told; calls in `replay` are no work of the agent."
            ),
        ] = None,
        expires_in: Annotated[str, typer.Option(metavar="TIME", help="How long it works.")] = "90d",
        no_spans: Annotated[
            bool,
            typer.Option("--no-spans", help="Write no span for a call: the agent sends its own telemetry."),
        ] = False,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Make a key and show it, once."""
        from pilothouse.connectors.own_server import read_server
        from pilothouse.core.charter.quantities import parse_duration
        from pilothouse.workflows.gateway.keys import add_key

        try:
            life = parse_duration(expires_in)
        except ValueError as error:
            raise UsageError(
                f"{error}", remedy="For example `--expires-in 30d`.", subject="expires-in"
            ) from error
        settings = load_settings(home=home)
        with services.open_gateway_store(settings) as store:
            made = add_key(
                store,
                agent,
                environment=environment,
                models=model or (),
                spans=not no_spans,
                life=life,
                actor=command_line_actor(),
                now=services.clock.now(),
            )
        if as_json:
            print_json({"key": made.key, **_record(made.kept)})
            return
        noted = read_server(settings.home)
        base = f"{noted.url if noted else f'http://{settings.host}:{settings.port}'}/gw"
        until = f" until {day(made.kept.expires_at)}" if made.kept.expires_at else ""
        say(made.key)
        say(
            f"This is {agent}'s key{until}; it is shown only now. Give it to the agent:\n"
            f"  OPENAI_BASE_URL={base}/v1     OPENAI_API_KEY={made.key[:12]}…\n"
            f"  ANTHROPIC_BASE_URL={base}     ANTHROPIC_API_KEY={made.key[:12]}…",
            err=True,
        )
        with services.open_installation(settings) as installation:
            governed = {one.agent for one in installation.ledger.charters()}
        if agent not in governed:
            say(_ungoverned(agent, governed, made.kept.prefix), err=True)

    @group.command("list")
    def show(*, home: Home = None, as_json: AsJson = False) -> None:
        """List the keys; the keys themselves are kept nowhere."""
        with services.open_gateway_store(load_settings(home=home)) as store:
            keys = store.list_keys()
        if as_json:
            print_json([_record(key) for key in keys])
            return
        if not keys:
            typer.echo("No key yet: `pilothouse key add AGENT` makes one.")
            return
        _show_table(keys, services)

    @group.command("revoke")
    def revoke(
        prefix: Annotated[str, typer.Argument(help="Prefix of the key, or the whole key.")],
        *,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Stop a key for good; the running gateway refuses it within 2 seconds."""
        from pilothouse.workflows.gateway.keys import revoke_key

        with services.open_gateway_store(load_settings(home=home)) as store:
            key = revoke_key(store, prefix, actor=command_line_actor(), now=services.clock.now())
        if as_json:
            print_json(_record(key))
        else:
            since = f" since {minute(key.revoked_at)}" if key.revoked_at else ""
            say(f"Key {key.prefix} of {key.agent} is revoked{since}.")


def _show_table(keys: Any, services: Services) -> None:
    from rich.table import Table

    now = services.clock.now()
    table = Table(box=None, header_style="bold")
    for title in ("key", "agent", "environment", "models", "made", "last used", "state"):
        table.add_column(title)
    for key in keys:
        state = f"until {day(key.expires_at)}" if key.expires_at else "no end"
        if key.revoked_at is not None:
            state = f"revoked {day(key.revoked_at)}"
        elif key.expires_at is not None and key.expires_at <= now:
            state = f"expired {day(key.expires_at)}"
        state += f", record {key.record}" if key.record else ""
        table.add_row(
            f"ph_{key.prefix}_…",
            key.agent,
            key.environment or "",
            ", ".join(key.models) or "as pinned",
            f"{day(key.created_at)} by {key.created_by}",
            day(key.used_at) if key.used_at else "not yet" if key.is_followed else "unknown",
            state,
        )
    print_table(table)


def _ungoverned(agent: str, governed: set[str], prefix: str) -> str:
    """Return what a key lacks whose agent no charter names, which is how a misspelt agent looks."""
    near = nearest_name(agent, governed)
    hint = f" If you meant {near}: `pilothouse key revoke {prefix}`." if near else ""
    return f"No charter of {agent} is in force, so nothing pins its model or limits what it spends.{hint}"


def _record(key: VirtualKey) -> dict[str, object]:
    record = asdict(key)
    del record["digest"]
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in record.items()
    }
