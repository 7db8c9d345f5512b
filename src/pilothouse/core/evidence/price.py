# SPDX-License-Identifier: Apache-2.0
"""What a model's tokens cost and since when; a price nobody entered is unknown, never zero."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

__all__ = ["PRICE_DECIMALS_MAX", "Price", "TokenClass", "names_tier", "price_at", "priced_as", "tier_of"]

PRICE_DECIMALS_MAX = 6
"""Decimals of a price per million tokens: one token of the cheapest class then is a whole picodollar."""

USD_PER_MILLION_MAX = Decimal(1_000_000)
"""A dollar for each token: more is a slip of the decimal point."""


TIER_CHARACTERS_MAX = 64
"""Of a name that others chose; the longest known one has 13."""

STANDARD_TIERS = frozenset({"", "default", "standard", "standard_only", "on_demand"})
"""What providers call the service that their listed prices are of."""


class TokenClass(StrEnum):
    """The disjoint classes of `TokenCount`, each with its own price."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_CREATION = "cache_creation"
    OUTPUT = "output"
    REASONING = "reasoning"


class Price(BaseModel):
    """The price of one class of tokens of one model for one span of time.

    Attributes:
        provider: Model provider as the spans name it.
        model: Model that answered, as the spans name it; in a service tier with a price of its own as `priced_as` names it.
        token_class: Class of tokens.
        usd_per_million: US dollars for a million tokens, exact, at most six decimals.
        valid_from: Start, aware UTC, inclusive.
        valid_to: End, aware UTC, exclusive; None while it is in force.
        source: Where the number stands, for example a page or a contract.
        source_date: Day on which it was read there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field(min_length=1, max_length=128)
    model: str = Field(min_length=1, max_length=256)
    token_class: TokenClass
    usd_per_million: Decimal = Field(
        ge=0, le=USD_PER_MILLION_MAX, decimal_places=PRICE_DECIMALS_MAX, allow_inf_nan=False
    )
    valid_from: AwareDatetime
    valid_to: AwareDatetime | None = None
    source: str = Field(min_length=1, max_length=500)
    source_date: date

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to does not lie after valid_from")
        return self

    def covers(self, at: datetime) -> bool:
        """Return whether the price is in force at a moment (aware UTC)."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


def tier_of(said: object) -> str | None:
    """Return the service tier that a request or an answer names, empty for the standard one, or None where it leaves that open.

    Example:
        >>> tier_of("flex"), tier_of("default"), tier_of("auto"), tier_of(None)
        ('flex', '', None, None)
    """
    if not isinstance(said, str) or said.strip().lower() in {"", "auto"}:
        return None
    tier = said.strip().lower()[:TIER_CHARACTERS_MAX]
    return "" if tier in STANDARD_TIERS else tier


def priced_as(model: str, tier: str) -> str:
    """Return the name under which the price of a model in a service tier stands: each tier is priced like a model of its own.

    Args:
        model: Model that answered.
        tier: As `tier_of` returns it; empty for the standard one.

    Example:
        >>> priced_as("m-2026-01-01", "flex"), priced_as("m-2026-01-01", "")
        ('m-2026-01-01 (flex)', 'm-2026-01-01')
    """
    return f"{model} ({tier})" if tier else model


def names_tier(priced: str) -> bool:
    """Return whether a name under which a price stands is one of a model in a service tier.

    Example:
        >>> names_tier(priced_as("m-2026-01-01", "flex")), names_tier("m-2026-01-01")
        (True, False)
    """
    return priced.endswith(")") and " (" in priced


def price_at(
    prices: Iterable[Price], *, provider: str, model: str, token_class: TokenClass, at: datetime
) -> Price | None:
    """Choose the price of one class of tokens at one moment.

    Args:
        prices: What is known, in any order.
        provider: Model provider.
        model: Model that answered.
        token_class: Class of tokens.
        at: The moment, aware UTC.

    Returns:
        The price with the latest start that covers the moment; None means that it is unknown.

    Example:
        >>> from datetime import UTC
        >>> day = datetime(2026, 1, 1, tzinfo=UTC)
        >>> price_at([], provider="acme", model="m", token_class=TokenClass.INPUT, at=day) is None
        True
    """
    fitting = [
        price
        for price in prices
        if (price.provider, price.model, price.token_class) == (provider, model, token_class)
        and price.covers(at)
    ]
    return max(fitting, key=lambda price: price.valid_from, default=None)
