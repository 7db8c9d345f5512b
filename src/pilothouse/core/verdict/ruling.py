# SPDX-License-Identifier: Apache-2.0
"""The ruling on one item, independent of the moment, and its wording at a moment.

Records do not change and a status ends at a time that is known when it begins. So an item is decided once, and until a record
comes in only its date is put on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pilothouse.core.verdict.declared import Objection
from pilothouse.core.verdict.sentence import at_risk_sentence
from pilothouse.core.verdict.verdict import ItemVerdict, Reason, Status

__all__ = ["Judged", "Ruling", "severity_key"]

LAPSE_WARNING = timedelta(days=7)
"""Evidence that ends this soon is a warning, or within a quarter of its life if that is shorter."""

_RANK = {status: rank for rank, status in enumerate(Status)}
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An item at a moment, with its sort key.

    Attributes:
        item: The item.
        share_lost: Share of the committed margin that is used up.
        oldest: End of the window of its record, or None.
        higher_is_better: Which way its value improves; None when it has no direction.
    """

    item: ItemVerdict
    share_lost: float
    oldest: datetime | None
    higher_is_better: bool | None

    def warned(self, said: Sequence[Objection]) -> Judged:
        """Return the item with the charter's warnings: what holds is then at risk, and what ends the warning is its remedy."""
        warnings = [one for one in said if not one.breaches]
        if not warnings or self.item.status not in {Status.HOLDS, Status.AT_RISK}:
            return self
        sentence = " ".join((self.item.sentence, *(one.sentence for one in warnings)))
        remedy = warnings[0].remedy if self.item.status is Status.HOLDS else self.item.remedy
        changed = {"status": Status.AT_RISK, "sentence": sentence, "remedy": remedy}
        return replace(self, item=self.item.model_copy(update=changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """An item without its date.

    Attributes:
        item: The item as long as its record counts, without an age.
        share_lost: Share of the committed margin that is used up.
        higher_is_better: Which way its value improves; None when it has no direction.
        lapsed: What is said once its record counts no more; empty where that changes nothing: a breach does not lapse.
        again: Command that is the remedy once its record counts no more or soon, where that is another one; empty otherwise.
        is_early: Whether the last quarter of its life warns in full.
    """

    item: ItemVerdict
    share_lost: float
    higher_is_better: bool | None
    lapsed: str = ""
    again: str = ""
    is_early: bool = False

    def at(self, now: datetime) -> Judged:
        """Return the item at a moment."""
        item, lost = self.item, self.share_lost
        if item.window_to is None:
            return Judged(item=item, share_lost=lost, oldest=None, higher_is_better=self.higher_is_better)
        changed: dict[str, Any] = {"age_days": max(0.0, (now - item.window_to).total_seconds() / _DAY_S)}
        if self.lapsed and item.lapses_at is not None:
            left, last = item.lapses_at - now, (item.lapses_at - item.window_to) / 4
            if left <= timedelta(0):
                changed |= {
                    "status": Status.NO_EVIDENCE,
                    "reason": Reason.STALE,
                    "sentence": self.lapsed,
                    "remedy": self.again or item.remedy,
                }
                lost = 1.0
            elif item.status is Status.HOLDS and left <= (
                last if self.is_early else min(LAPSE_WARNING, last)
            ):
                changed |= {
                    "status": Status.AT_RISK,
                    "sentence": at_risk_sentence(item.sentence, left),
                    "remedy": self.again or item.remedy,
                }
        return Judged(
            item=item.altered(changed),
            share_lost=lost,
            oldest=item.window_to,
            higher_is_better=self.higher_is_better,
        )


def severity_key(judged: Judged) -> tuple[int, float, float]:
    """Return the order of items: worst status, then most margin lost, then oldest evidence."""
    age = judged.oldest.timestamp() if judged.oldest else float("inf")
    return (_RANK[judged.item.status], -judged.share_lost, age)
