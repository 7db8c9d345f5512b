# SPDX-License-Identifier: Apache-2.0
"""The prices of models in memory, because every model call asks; a process that only answers calls needs no more of upkeep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.evidence.price import Price
from pilothouse.ports.ledger import Ledger

__all__ = ["PRICES_EVERY_S", "PriceList"]

PRICES_EVERY_S = 5.0
"""How soon a price that somebody added counts; a look is one query."""


class PriceList:
    """The prices in the ledger, kept at hand because every model call asks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._prices: Sequence[Price] = tuple(ledger.prices())
        self._revision = 0

    @property
    def revision(self) -> int:
        """How often prices were added since this object was made."""
        return self._revision

    def read(self) -> Sequence[Price]:
        """Return the prices known now; the same object until one was added."""
        return self._prices

    def refresh(self, now: datetime) -> None:
        """Look whether prices were added."""
        del now
        found = tuple(self._ledger.prices())
        if found != self._prices:
            self._prices = found
            self._revision += 1
