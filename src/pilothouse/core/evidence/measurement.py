# SPDX-License-Identifier: Apache-2.0
"""A measurement before it is bound to a scope, a version and a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ITEMS_KEPT_MAX", "Measurement"]

ITEMS_KEPT_MAX = 50
"""Tasks named in one record: enough to open, few enough to store with every window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measurement; the fields are those of `Evidence`.

    Attributes:
        kind: Kind of evidence.
        n: Cases, at least 1.
        good: Good cases, for rates.
        value: Value, for amounts.
        low: Lower end, or None.
        high: Upper end, or None.
        method: How the ends were made.
        detail: One sentence.
        items: Task ids behind it, those to look at first.
        counts: Further whole numbers.
    """

    kind: str
    n: int
    good: int | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    detail: str = ""
    items: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
