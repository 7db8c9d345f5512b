# SPDX-License-Identifier: Apache-2.0
"""A price is exact, has its time, and is never invented."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from pilothouse.core.evidence.price import Price, TokenClass, names_tier, price_at, priced_as, tier_of

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def price(**fields):
    base = {
        "provider": "acme",
        "model": "m",
        "token_class": "input",
        "usd_per_million": Decimal("0.15"),
        "valid_from": DAY,
        "source": "price page",
        "source_date": date(2026, 11, 20),
    }
    return Price(**{**base, **fields})


def test_the_price_with_the_latest_start_that_covers_the_moment_is_chosen():
    old, new = price(), price(valid_from=DAY + timedelta(days=1), usd_per_million=Decimal("0.2"))
    others = [price(model="other"), price(token_class="output"), price(provider="x")]

    def ask(at):
        return price_at([new, *others, old], provider="acme", model="m", token_class=TokenClass.INPUT, at=at)

    assert ask(DAY - timedelta(seconds=1)) is None
    assert ask(DAY) == old
    assert ask(DAY + timedelta(days=1)) == new


@pytest.mark.parametrize(
    "fields",
    [
        {"usd_per_million": Decimal("0.0000001")},
        {"usd_per_million": Decimal(-1)},
        {"usd_per_million": Decimal("NaN")},
        {"usd_per_million": Decimal(1_000_001)},
        {"valid_from": datetime(2026, 1, 1)},  # noqa: DTZ001 - a naive time is what must be refused
        {"valid_to": DAY},
        {"provider": ""},
        {"source": ""},
        {"currency": "EUR"},
    ],
)
def test_a_price_that_cannot_be_meant_is_refused(fields):
    with pytest.raises(ValidationError):
        price(**fields)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ("flex", "flex"),
        (" Priority ", "priority"),
        ("default", ""),
        ("standard_only", ""),
        ("auto", None),
        ("", None),
        (7, None),
    ],
)
def test_a_tier_is_named_as_its_price_is_found(said, tier):
    assert tier_of(said) == tier
    assert priced_as("m", tier or "") == (f"m ({tier})" if tier else "m")
    assert names_tier(priced_as("m", tier or "")) is bool(tier)


def test_a_name_of_a_tier_is_bounded():
    assert len(tier_of("x" * 1_000)) == 64
