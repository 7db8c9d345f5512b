# SPDX-License-Identifier: Apache-2.0
"""The cost of tokens in whole pico-dollars, so that sums are exact in any order; unknown stays unknown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pilothouse.core.evidence.price import Price as ListPrice
from pilothouse.core.evidence.price import TokenClass, price_at
from pilothouse.core.evidence.task import TokenCount

__all__ = ["PICO", "Price", "PriceSource", "cost_pico", "no_prices", "priced_by", "usd"]

PICO = 10**12
"""Pico-dollars in a dollar."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PER_MILLION_TO_PICO = 10**6
"""USD for a million tokens → pico-dollars for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs, by token class, USD per million tokens with at most 6 decimals.

    A class that is None has no price: tokens of it make the whole call's cost unknown.

    Attributes:
        price_id: Which price list and row this is.
        input: Uncached input.
        cache_read: Input read from a cache.
        cache_creation: Input written to a cache.
        output: Output.
        reasoning: Reasoning output.
    """

    price_id: str
    input: Decimal | None = None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    output: Decimal | None = None
    reasoning: Decimal | None = None
    pico_per_token: tuple[int | None, ...] = field(init=False, repr=False, compare=False)
    """The same in pico-dollars for one token, in this order: every model call multiplies by them."""

    def __post_init__(self) -> None:
        classes = (self.input, self.cache_read, self.cache_creation, self.output, self.reasoning)
        picos = tuple(None if usd is None else int(usd * PER_MILLION_TO_PICO) for usd in classes)
        object.__setattr__(self, "pico_per_token", picos)


PriceSource = Callable[[str, str, int], Price | None]
"""(provider, model, end in Unix nanoseconds) → the price then, or None."""


def no_prices(provider: str, model: str, at_ns: int) -> Price | None:
    """A price source without prices: every cost stays unknown.

    Example:
        >>> no_prices("openai", "gpt-x", 0) is None
        True
    """
    del provider, model, at_ns
    return None


def priced_by(list_prices: Callable[[], Sequence[ListPrice]]) -> PriceSource:
    """Return a price source over a list of prices, one row for each class of tokens.

    Args:
        list_prices: Returns the prices known now, the same object until one is added: it is asked for every
            model call, and what it returns is put in order once.

    Example:
        >>> priced_by(lambda: ())("openai", "gpt-x", 0) is None
        True
    """
    listed: Sequence[ListPrice] = ()
    spans_of: dict[tuple[str, str], _Spans] = {}

    def find(provider: str, model: str, at_ns: int) -> Price | None:
        nonlocal listed, spans_of
        now_listed = list_prices()
        if now_listed is not listed:
            rows_of: dict[tuple[str, str], list[ListPrice]] = {}
            for row in now_listed:
                rows_of.setdefault((row.provider, row.model), []).append(row)
            listed, spans_of = now_listed, {pair: _Spans(rows) for pair, rows in rows_of.items()}
        spans = spans_of.get((provider, model))
        return None if spans is None else spans.at(at_ns)

    return find


class _Spans:
    """The prices of one model, put together once for each span of time between two changes."""

    def __init__(self, rows: list[ListPrice]) -> None:
        self._rows = rows
        moments = {moment for row in rows for moment in (row.valid_from, row.valid_to) if moment is not None}
        self._changes = sorted(_micros(moment) for moment in moments)
        self._found: dict[int, Price | None] = {}

    def at(self, at_ns: int) -> Price | None:
        """Return the price at a moment, Unix nanoseconds."""
        at_us = at_ns // 1_000
        span = bisect_right(self._changes, at_us)
        if span not in self._found:
            self._found[span] = _bundle(self._rows, EPOCH + timedelta(microseconds=at_us))
        return self._found[span]


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _bundle(rows: list[ListPrice], at: datetime) -> Price | None:
    provider, model = rows[0].provider, rows[0].model
    found = {
        kind: row
        for kind in TokenClass
        if (row := price_at(rows, provider=provider, model=model, token_class=kind, at=at)) is not None
    }
    if not found:
        return None
    since = max(row.valid_from for row in found.values())
    per_million = {kind.value: row.usd_per_million for kind, row in found.items()}
    return Price(price_id=f"{provider}/{model}@{since:%Y-%m-%d}", **per_million)


def cost_pico(tokens: TokenCount, price: Price) -> int | None:
    """Return the cost of a call in pico-dollars, or None when a class with tokens has no price.

    Args:
        tokens: Tokens by disjoint class.
        price: The price in force when the call ended.

    Example:
        >>> cost_pico(TokenCount(input=1000, output=10), Price(price_id="p", input=Decimal("0.15"), output=Decimal("0.6")))
        156000000
        >>> cost_pico(TokenCount(cache_read=1), Price(price_id="p", input=Decimal(1))) is None
        True
    """
    total = 0
    counts = (tokens.input, tokens.cache_read, tokens.cache_creation, tokens.output, tokens.reasoning)
    for count, pico in zip(counts, price.pico_per_token, strict=True):
        if not count:
            continue
        if pico is None:
            return None
        total += count * pico
    return total


def usd(pico: int) -> Decimal:
    """Return pico-dollars as exact dollars.

    Example:
        >>> usd(156_000_000)
        Decimal('0.000156000000')
    """
    return Decimal(pico).scaleb(-12)
