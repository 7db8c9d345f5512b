# SPDX-License-Identifier: Apache-2.0
"""Sort the attributes of one span into columns, payload and rest, by the alias table.

One step for each attribute, which was read and classified before; this is the inner loop of the intake, so
it works on plain lists and dicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilothouse.lake import limits
from pilothouse.lake.attributes import (
    FLATTENED,
    LATEST,
    LOST,
    OLDER,
    OPENINFERENCE,
    PAYLOAD,
    PLAIN,
    SHARED,
    SLOTS,
    Attribute,
)
from pilothouse.lake.payload import json_text, preview, rebuild_list

__all__ = ["Resolved"]

_EMPTY_SLOTS: list[Any] = [None] * len(SLOTS)
_CONVENTIONS = tuple(
    "otel"
    if bits & LATEST
    else "otel_1_36"
    if bits & OLDER
    else "otel"
    if bits & SHARED
    else "openinference"
    if bits & OPENINFERENCE
    else "none"
    for bits in range(16)
)
"""Which names were found → convention; GenAI names win over OpenInference."""


class Resolved:
    """The attributes of one span, sorted.

    Attributes:
        slots: Values of the columns, in the order of `ALIASES`; None where no alias is present.
        rest: The attributes without payload as JSON, by name.
        convention: Which set of names was found.
        lost: Attributes left out: repeated, without a name, with a name too long, or too many.

    Args:
        attributes: What was sent, in order; the last of a name wins.
    """

    __slots__ = ("_flat", "_payload", "convention", "lost", "rest", "slots")

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        count = len(attributes)
        if count > limits.ATTRIBUTES_MAX:
            distinct = {one.key: one for one in attributes if one.slot != LOST}
            attributes = list(distinct.values())[: limits.ATTRIBUTES_MAX]
        kept = self._sort(attributes)
        if kept < len(attributes):
            distinct = {one.key: one for one in attributes}
            if len(distinct) < len(attributes):
                kept = self._sort(list(distinct.values()))
        self.lost = count - kept

    def _sort(self, attributes: Sequence[Attribute]) -> int:
        """Fill everything from attributes; return how many distinct ones were kept."""
        self.slots = slots = _EMPTY_SLOTS[:]
        self.rest = rest = dict[str, str]()
        self._payload: dict[str, Attribute] | None = None
        self._flat: dict[str, dict[str, Any]] | None = None
        ranks: dict[int, int] | None = None
        bits = moved = 0
        for one in attributes:
            slot = one.slot
            bits |= one.bits
            if slot >= 0:
                rest[one.key] = one.json
                if slots[slot] is None:
                    slots[slot] = one.value
                    if one.rank:
                        ranks = ranks or {}
                        ranks[slot] = one.rank
                elif ranks and one.rank < ranks.get(slot, 0):
                    slots[slot] = one.value
                    ranks[slot] = one.rank
            elif slot == PLAIN:
                rest[one.key] = one.json
            elif slot == PAYLOAD:
                if self._payload is None:
                    self._payload = {}
                self._payload[one.key] = one
            elif slot == FLATTENED:
                if self._flat is None:
                    self._flat = {}
                part = self._flat.setdefault(one.key[: one.rank], {})
                moved -= len(part)
                part[one.key[one.rank :]] = one.value
                moved += len(part)
        self.convention = _CONVENTIONS[bits]
        return len(rest) + moved + (len(self._payload) if self._payload else 0)

    def said(self, keys: tuple[str, ...], *, of_user: bool) -> tuple[str | None, str | None]:
        """Return the first payload that is present as text, and its last words.

        Args:
            keys: Attributes, or prefixes of flattened lists, the preferred one first.
            of_user: Whose words the preview shows.
        """
        payload, flat = self._payload, self._flat
        for key in keys:
            if payload is not None and key in payload:
                one = payload[key]
                if one.preview is None:
                    one.preview = preview(one.value, of_user=of_user)
                return one.value, one.preview or None
            if flat is not None and key in flat:
                text = json_text(rebuild_list(flat[key].items()))
                return text, preview(text, of_user=of_user)
        return None, None

    def first(self, keys: tuple[str, ...]) -> str | None:
        """Return the first payload that is present, as text.

        Args:
            keys: Attributes, or prefixes of flattened lists, the preferred one first.
        """
        payload, flat = self._payload, self._flat
        if payload is None and flat is None:
            return None
        for key in keys:
            if payload is not None and key in payload:
                return str(payload[key].value)
            if flat is not None and key in flat:
                return json_text(rebuild_list(flat[key].items()))
        return None

    def rest_text(self) -> str:
        """Return the attributes without payload as one JSON object."""
        return f"{{{','.join(self.rest.values())}}}"
