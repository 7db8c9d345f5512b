# SPDX-License-Identifier: Apache-2.0
"""Labels that were drawn with different chances: thinned to one chance, or each with its own for whoever weighs them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pilothouse.core.evidence.review import ItemState
from pilothouse.core.statistics.drawn_labels import DrawnLabel
from pilothouse.ports.review import ItemRecord

__all__ = ["drawn_labels", "evenly_drawn"]


def evenly_drawn(records: Sequence[ItemRecord]) -> list[ItemRecord]:
    """Keep each label with the smallest chance among all divided by its own; what is left is a plain random sample.

    The coin is the item's own id, so that two looks agree.

    Args:
        records: Drawn items; one without a known chance is left out.
    """
    chances = [one.item.probability for one in records if one.item.probability]
    if not chances:
        return []
    least = min(chances)
    return [
        one
        for one in records
        if one.item.probability and _coin(one.item.item_id) * one.item.probability < least
    ]


def drawn_labels(records: Sequence[ItemRecord], *, as_if: bool | None = None) -> tuple[DrawnLabel, ...]:
    """Return what people said of drawn items, each with the chance of its draw.

    Args:
        records: Drawn and decided items; one without a known chance is left out.
        as_if: What is taken for their answer where nobody gave one.
    """
    return tuple(
        DrawnLabel(
            good=one.state is ItemState.ACCEPTED if as_if is None else as_if,
            probability=one.item.probability,
            coin=_coin(one.item.item_id),
        )
        for one in records
        if one.item.probability
    )


def _coin(item_id: str) -> float:
    drawn = hashlib.sha256(f"routing {item_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") / 2**64
