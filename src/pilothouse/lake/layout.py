# SPDX-License-Identifier: Apache-2.0
"""The position of each known attribute in a span: everything that follows from the names, derived once.

The spans of one instrumentation name the same attributes in the same order. So the alias table is walked once
for each such order, a layout; after that a span costs a few look-ups by place. This is the inner loop of the
intake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from pilothouse.lake import limits
from pilothouse.lake.attributes import (
    EVALUATED,
    EVALUATION,
    FLATTENED,
    LATEST,
    LOST,
    OLDER,
    OPENINFERENCE,
    OWN_COLUMNS,
    PAYLOAD,
    SHARED,
    SHARED_SLOTS,
    Attribute,
    Name,
)
from pilothouse.lake.payload import json_text, rebuild_list

__all__ = ["Layout", "lay_out", "shared_values"]

LAYOUTS_MAX = 2_048
"""Layouts in one generation of the table; an instrumentation has a few dozen."""

LAYOUT_NAMES_MAX = 128
"""A longer layout, of a long conversation in flattened lists, is not remembered: its length will not come again."""

_Getter = Callable[[Sequence[Attribute]], tuple[Attribute, ...]]

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

_name_of = attrgetter("name")


class Layout:
    """What follows from the ordered attribute names of a span.

    Attributes:
        own: Where the attributes of the columns stand in which nearly every span says something else; only those
            that are there.
        shared: Attributes → those that repeat from span to span.
        texts: Where the others stand that are in the column `attributes`.
        convention: Which set of names was found.
        evaluations: Where the parts of each evaluation stand, by `trace.` or nothing and its own beginning.
        lost: Attributes left out: without a name or with a name too long.
        is_sound: Whether every name stands there once and there are not too many.

    Args:
        names: In order.
    """

    __slots__ = (
        "_flat",
        "_payload",
        "convention",
        "evaluations",
        "is_sound",
        "lost",
        "own",
        "shared",
        "texts",
    )

    def __init__(self, names: Sequence[Name]) -> None:
        self.is_sound = len({name.key for name in names}) == len(names) <= limits.ATTRIBUTES_MAX
        self.own: dict[str, int] = {}
        self._payload: dict[str, int] = {}
        self._flat: dict[str, list[tuple[str, int]]] = {}
        self.lost = bits = 0
        for place, name in enumerate(names):
            bits |= name.bits
            slot = name.slot
            if slot >= 0 and not name.repeats:
                known = self.own.setdefault(OWN_COLUMNS[slot], place)
                if name.rank < names[known].rank:
                    self.own[OWN_COLUMNS[slot]] = place
            elif slot == PAYLOAD:
                self._payload[name.key] = place
            elif slot == FLATTENED:
                self._flat.setdefault(name.key[: name.rank], []).append((name.key[name.rank :], place))
            elif slot == LOST:
                self.lost += 1
        self.shared = _getter([place for place, name in enumerate(names) if name.repeats])
        unlisted = (PAYLOAD, FLATTENED, LOST)
        self.texts = tuple(
            place for place, name in enumerate(names) if not name.repeats and name.slot not in unlisted
        )
        self.convention = _CONVENTIONS[bits & ~EVALUATED]
        self.evaluations = _evaluations(names) if bits & EVALUATED else {}

    def find(self, keys: tuple[str, ...]) -> int | str | None:
        """Return the position of the first payload that is present, or its prefix for a flattened list.

        Args:
            keys: Attributes, or prefixes of flattened lists, the preferred one first.
        """
        for key in keys:
            place = self._payload.get(key)
            if place is not None:
                return place
            if key in self._flat:
                return key
        return None

    def text(self, attributes: Sequence[Attribute], found: int | str) -> str:
        """Return a payload as text.

        Args:
            attributes: Of a span of this layout.
            found: What `find` returned.
        """
        if isinstance(found, int):
            return str(attributes[found].value)
        flat = self._flat[found]
        return json_text(rebuild_list([(key, attributes[place].value) for key, place in flat]))

    def value(self, attributes: Sequence[Attribute], column: str) -> Any:
        """Return the value of an attribute that has its own column, or None when it is absent.

        Args:
            attributes: Of a span of this layout.
            column: Or input of a column.
        """
        place = self.own.get(column)
        return None if place is None else attributes[place].value


def shared_values(shared: Sequence[Attribute]) -> list[Any]:
    """Return the values of the columns that repeat, by `SHARED_SLOTS`; None where no alias is present."""
    slots: list[Any] = [None] * len(SHARED_SLOTS)
    ranks: dict[int, int] = {}
    for one in shared:
        slot, rank = one.name.slot, one.name.rank
        if slots[slot] is None or rank < ranks[slot]:
            slots[slot], ranks[slot] = one.value, rank
    return slots


def _getter(places: list[int]) -> _Getter:
    if len(places) > 1:
        return itemgetter(*places)
    if places:
        (place,) = places
        return lambda attributes: (attributes[place],)
    return lambda _attributes: ()


def _evaluations(names: Sequence[Name]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, name in enumerate(names):
        part = EVALUATION.fullmatch(name.key) if name.bits & EVALUATED else None
        if part is not None:
            found.setdefault((part[1], part[2]), {})[part[3]] = place
    return found


class _LayoutCache:
    """A cache of layouts by their names, in two generations of bounded size."""

    def __init__(self) -> None:
        self.young: dict[tuple[Name, ...], Layout] = {}
        self._old: dict[tuple[Name, ...], Layout] = {}

    def make(self, names: tuple[Name, ...]) -> Layout:
        """Return the layout of names that are not in the young generation."""
        layout = self._old.get(names) or Layout(names)
        if len(names) <= LAYOUT_NAMES_MAX:
            if len(self.young) >= LAYOUTS_MAX:
                self._old, self.young = self.young, {}
            self.young[names] = layout
        return layout


_layouts = _LayoutCache()


def lay_out(attributes: Sequence[Attribute]) -> tuple[Layout, Sequence[Attribute], int]:
    """Return the layout of a span's attributes, the attributes within the limit, and how many were left out.

    Args:
        attributes: What was sent, in order; the last of a name wins.
    """
    names = tuple(map(_name_of, attributes))
    layout = _layouts.young.get(names) or _layouts.make(names)
    if layout.is_sound:
        return layout, attributes, layout.lost
    distinct = {one.name.key: one for one in attributes if one.name.slot != LOST}
    kept = list(distinct.values())[: limits.ATTRIBUTES_MAX]
    return Layout([one.name for one in kept]), kept, len(attributes) - len(kept)
