# SPDX-License-Identifier: Apache-2.0
"""`pilothouse price`: say what a model's tokens cost; without a price a cost stays unknown."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import day
from pilothouse.errors import UsageError
from pilothouse.interfaces.cli.consoles import print_json, print_table, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pilothouse.core.evidence.price import Price
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]

Usd = Annotated[
    str | None, typer.Option(metavar="USD", help="US dollars for a million tokens of this class.")
]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `price` to the command tree."""

    @cli.command("price")
    def price(
        *,
        provider: Annotated[
            str | None, typer.Argument(help="Provider as the spans name it, for example openai.")
        ] = None,
        model: Annotated[str | None, typer.Argument(help="Model that answers, exactly.")] = None,
        input_usd: Annotated[
            str | None, typer.Option("--input", metavar="USD", help="Uncached input.")
        ] = None,
        output_usd: Annotated[str | None, typer.Option("--output", metavar="USD", help="Output.")] = None,
        cache_read: Usd = None,
        cache_creation: Usd = None,
        reasoning: Usd = None,
        tier: Annotated[
            str,
            typer.Option(
                help="Service tier that these prices are of, for example flex or priority. Default: the standard one."
            ),
        ] = "",
        since: Annotated[
            datetime | None,
            typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC. Default: today."),
        ] = None,
        source: Annotated[str, typer.Option(help="Where the numbers stand, for example a page.")] = "",
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """List the prices of model tokens, or add one: USD per million tokens, with its source and first day."""
        given = {
            "input": input_usd,
            "output": output_usd,
            "cache_read": cache_read,
            "cache_creation": cache_creation,
            "reasoning": reasoning,
        }
        with services.open_installation(load_settings(home=home)) as installation:
            if provider is not None:
                now = services.clock.now()
                first_day = (since or now.replace(hour=0, minute=0, second=0, microsecond=0)).replace(
                    tzinfo=UTC
                )
                named = model and _priced_as(model, tier)
                prices = _prices(provider, named, given=given, since=first_day, source=source, now=now)
                added = installation.ledger.add_prices(prices, at=now, actor=command_line_actor())
                say(
                    f"{added} added; calls from {day(first_day)} on are priced with them, by a running server also stored ones "
                    "whose cost is unknown.",
                    err=True,
                )
            known = installation.ledger.prices()
            _show(known, as_json=as_json)
            if provider is None and not as_json:
                from pilothouse.workflows.gateway.without_price import unknown_costs

                unknown = unknown_costs(installation.lake)
                _show_missing(unknown.without_price, known)
                _show_silent(unknown.without_usage)


def _priced_as(model: str, tier: str) -> str:
    from pilothouse.core.evidence.price import priced_as, tier_of

    return priced_as(model, tier_of(tier) or "")


def _prices(
    provider: str,
    model: str | None,
    *,
    given: dict[str, str | None],
    since: datetime,
    source: str,
    now: datetime,
) -> list[Price]:
    from pydantic import ValidationError

    from pilothouse.core.evidence.price import Price, TokenClass

    example = "pilothouse price openai gpt-4o-2024-08-06 --input 2.50 --output 10 --source https://..."
    if model is None or not source or not any(given.values()):
        raise UsageError(
            "a price needs a model, at least one class and --source", remedy=f"For example `{example}`."
        )
    prices = []
    for name, text in given.items():
        if text is None:
            continue
        try:
            prices.append(
                Price(
                    provider=provider,
                    model=model,
                    token_class=TokenClass(name),
                    usd_per_million=Decimal(text),
                    valid_from=since,
                    source=source,
                    source_date=now.date(),
                )
            )
        except (InvalidOperation, ValidationError) as error:
            raise UsageError(
                f"{text!r} is no price for {name.replace('_', ' ')}: USD per million tokens, 0 or more, at most 6 decimals",
                remedy=f"For example `{example}`.",
                subject=name,
            ) from error
    return prices


def _show_missing(missing: Sequence[tuple[str, str]], known: Sequence[Price]) -> None:
    """Name what a price is looked for by: the provider is what spans say, whatever the gateway calls it.

    A price that begins after the calls leaves their cost unknown, and one more from today on would not help.
    """
    from pilothouse.core.evidence.price import names_tier
    from pilothouse.reports.foreign import visible

    for names in missing:
        provider, model = (shlex.quote(visible(name)) for name in names)
        if names_tier(names[1]) and any((one.provider, one.model) == names for one in known):
            continue  # said meanwhile: what came before in that tier stays unknown
        days = [one.valid_from for one in known if (one.provider, one.model) == names]
        before, since = (f" before {day(min(days))}", " --from DAY") if days else ("", "")
        say(
            f"No price{before}: pilothouse price {provider} {model} --input USD --output USD{since} --source PAGE"
        )


def _show_silent(models: Sequence[tuple[str, str]]) -> None:
    """Name models whose calls do not say what they used, and how they are asked to."""
    from pilothouse.reports.foreign import visible

    for provider, model in models:
        say(
            f"No usage: calls of {visible(provider)} {visible(model)} do not say how many tokens they used, so no price makes "
            "their cost known. Ask for it: OpenAI's chat streams say it with `stream_options={'include_usage': True}`."
        )


def _show(prices: Sequence[Price], *, as_json: bool) -> None:
    from rich.table import Table

    if as_json:
        print_json([row.model_dump(mode="json") for row in prices])
        return
    if not prices:
        typer.echo(
            "No price is known, so every cost is unknown. `pilothouse price --help` says how to add one."
        )
        return
    table = Table(box=None, header_style="bold")
    for title in ("provider", "model", "class", "USD per million", "from", "source"):
        table.add_column(title, justify="right" if title.startswith("USD") else "left")
    for row in prices:
        table.add_row(
            row.provider,
            row.model,
            row.token_class.value,
            f"{row.usd_per_million.normalize():f}",
            day(row.valid_from),
            row.source,
        )
    print_table(table)
