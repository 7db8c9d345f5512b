# SPDX-License-Identifier: Apache-2.0
"""Token prices, exact and with the time from which they hold; empty until somebody adds one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, insert, select

from pilothouse.core.evidence.price import PRICE_DECIMALS_MAX, Price, TokenClass
from pilothouse.errors import Conflict
from pilothouse.ledger.database import Repository
from pilothouse.ledger.row_log import log_rows
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ledger.schema import prices as price_rows

__all__ = ["SqlPrices"]

_SCALE = Decimal(10) ** PRICE_DECIMALS_MAX


class SqlPrices(Repository):
    """The part of `ports.Ledger` that keeps prices."""

    def add_prices(self, prices: Sequence[Price], *, at: datetime, actor: str) -> int:
        """Store prices and return how many were new.

        Raises:
            Conflict: Another price is known for the same model, class and start.
        """
        added: list[dict[str, Any]] = []
        with self.database.write() as connection:
            for price in prices:
                row = _row(price)
                key = {name: row[name] for name in ("provider", "model", "token_class", "valid_from_us")}
                known = connection.execute(select(price_rows).filter_by(**key)).first()
                if known is None:
                    connection.execute(insert(price_rows).values(**row))
                    added.append(row)
                elif _price(known) != price:
                    raise Conflict(
                        f"another {price.token_class.value} price of {price.provider} {price.model!r} "
                        f"from {price.valid_from.isoformat()} is known: {_price(known).usd_per_million} USD per million",
                        remedy="Give the new price a later `valid_from`; what was charged before stays as it was.",
                        subject=price.model,
                    )
            log_rows(connection, price_rows.name, added=added, at=at, actor=actor)
        return len(added)

    def prices(self) -> Sequence[Price]:
        """Return every price by provider, model, class and start."""
        query = select(price_rows).order_by(
            price_rows.c.provider, price_rows.c.model, price_rows.c.token_class, price_rows.c.valid_from_us
        )
        with self.database.read() as connection:
            return tuple(_price(row) for row in connection.execute(query))


def _row(price: Price) -> dict[str, Any]:
    return {
        "provider": price.provider,
        "model": price.model,
        "token_class": price.token_class.value,
        "valid_from_us": to_micros(price.valid_from),
        "valid_to_us": None if price.valid_to is None else to_micros(price.valid_to),
        "micro_usd_per_million": int(price.usd_per_million * _SCALE),
        "source": price.source,
        "source_date": price.source_date.isoformat(),
    }


def _price(row: Row[Any]) -> Price:
    return Price(
        provider=row.provider,
        model=row.model,
        token_class=TokenClass(row.token_class),
        usd_per_million=Decimal(row.micro_usd_per_million) / _SCALE,
        valid_from=from_micros(row.valid_from_us),
        valid_to=None if row.valid_to_us is None else from_micros(row.valid_to_us),
        source=row.source,
        source_date=date.fromisoformat(row.source_date),
    )
