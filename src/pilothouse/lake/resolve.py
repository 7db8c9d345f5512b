# SPDX-License-Identifier: Apache-2.0
"""Sort the attributes of one span into columns, payload and rest, by the alias table.

One look-up for each attribute in an index that is made from the table; this is the inner loop of the
intake, so it works on plain lists and dicts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pilothouse.lake import limits
from pilothouse.lake.payload import flattened_prefix, json_text, rebuild_list
from pilothouse.lake.semconv import (
    ALIASES,
    DEFINITION_KEYS,
    LATEST_KEYS,
    OLDER_KEYS,
    OPENINFERENCE_PREFIXES,
    PAYLOAD_INPUTS,
    PAYLOAD_OUTPUTS,
    SYSTEM_KEYS,
)

__all__ = ["SLOTS", "Resolved"]

SLOTS = {name: number for number, name in enumerate(ALIASES)}
"""Name of a column or input of one → its place in `Resolved.slots`."""

RAW_SLOTS = frozenset(
    name
    for name in ALIASES
    if name.startswith(("tokens_", "aggregated_"))
    or name in {"first_chunk_s", "source_cost_usd", "task_confidence", "task_claim", "metadata"}
)
"""Slots that keep the value as it was sent; the others are short texts."""

LATEST, OLDER, SHARED, OPENINFERENCE = 1, 2, 4, 8
PLAIN, PAYLOAD, FLATTENED, TOO_LONG = -1, -2, -3, -4

KNOWN_KEYS_MAX = 8_192
"""Attribute names that are remembered; instrumentations use a few hundred, flattened lists more."""

PAYLOAD_KEYS = frozenset(
    key
    for keys in (*PAYLOAD_INPUTS.values(), *PAYLOAD_OUTPUTS.values(), SYSTEM_KEYS, DEFINITION_KEYS)
    for key in keys
    if not key.endswith(".")
)

_Hit = tuple[int, int, bool, int]
_EMPTY_SLOTS: list[Any] = [None] * len(ALIASES)
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


def _bits(key: str) -> int:
    if key in LATEST_KEYS:
        return LATEST
    if key in OLDER_KEYS:
        return OLDER
    if key.startswith("gen_ai."):
        return SHARED
    return OPENINFERENCE if key.startswith(OPENINFERENCE_PREFIXES) else 0


_INDEX: dict[str, _Hit] = {
    key: (SLOTS[name], rank, name in RAW_SLOTS, _bits(key))
    for name, keys in ALIASES.items()
    for rank, key in enumerate(keys)
} | {key: (PAYLOAD, 0, False, _bits(key)) for key in PAYLOAD_KEYS}
"""Attribute name → slot or kind, rank among the slot's aliases, whether it stays as it is, convention."""


@lru_cache(maxsize=KNOWN_KEYS_MAX)
def _classify(key: str) -> _Hit:
    """Say what an attribute is that has no column."""
    if len(key) > limits.KEY_BYTES_MAX:
        return TOO_LONG, 0, False, 0
    prefix = flattened_prefix(key)
    if prefix is not None:
        return FLATTENED, len(prefix), False, OLDER if prefix[0] == "g" else OPENINFERENCE
    return PLAIN, 0, False, 0


class Resolved:
    """The attributes of one span, sorted.

    Attributes:
        slots: Values of the columns, in the order of `ALIASES`; None where no alias is present.
        rest: The attributes without payload, for the column `attributes`.
        convention: Which set of names was found.
        lost: Attributes left out because their name is too long.

    Args:
        attributes: What was sent; becomes `rest`.
    """

    __slots__ = ("_flat", "_payload", "convention", "lost", "rest", "slots")

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.slots = slots = _EMPTY_SLOTS[:]
        payload: dict[str, Any] = {}
        flat: dict[str, list[tuple[str, Any]]] = {}
        ranks: dict[int, int] = {}
        moved: list[str] = []
        bits = 0
        known = _INDEX.get
        self.lost = 0
        for key, value in attributes.items():
            slot, rank, raw, bit = known(key) or _classify(key)
            bits |= bit
            if slot >= 0:
                if value is None or (slots[slot] is not None and ranks.get(slot, 0) <= rank):
                    continue
                if rank:
                    ranks[slot] = rank
                if not raw:
                    if value.__class__ is not str:
                        value = json_text(value)  # noqa: PLW2901 - the text takes the place of the sent value
                    if len(value) > limits.TEXT_CHARS_MAX:
                        value = value[: limits.TEXT_CHARS_MAX]  # noqa: PLW2901 - same reason
                slots[slot] = value
            elif slot == PAYLOAD:
                payload[key] = value
                moved.append(key)
            elif slot == FLATTENED:
                flat.setdefault(key[:rank], []).append((key[rank:], value))
                moved.append(key)
            elif slot == TOO_LONG:
                self.lost += 1
                moved.append(key)
        for key in moved:
            del attributes[key]
        self.rest = attributes
        self._payload = payload
        self._flat = flat
        self.convention = _CONVENTIONS[bits]

    def first(self, keys: tuple[str, ...]) -> str | None:
        """Return the first payload that is present, as text.

        Args:
            keys: Attributes, or prefixes of flattened lists, the preferred one first.
        """
        payload, flat = self._payload, self._flat
        if payload or flat:
            for key in keys:
                value = payload.get(key)
                if value is not None:
                    return value if value.__class__ is str else json_text(value)
                if key in flat:
                    return json_text(rebuild_list(flat[key]))
        return None
