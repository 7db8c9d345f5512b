# SPDX-License-Identifier: Apache-2.0
"""One attribute as it was sent, parsed once: its value, its column, and how it is stored.

Most attributes of an agent repeat from span to span: model, provider, tool, version. What was read from the
same bytes before is remembered, in a table that is bounded twice, so that a stream of texts that never
repeat costs no memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from pilothouse.lake import limits
from pilothouse.lake.otlp_fields import without_nul
from pilothouse.lake.payload import flattened_prefix, json_text
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

__all__ = [
    "EVALUATED",
    "EVALUATION",
    "FLATTENED",
    "LATEST",
    "LOST",
    "OLDER",
    "OPENINFERENCE",
    "OWN_COLUMNS",
    "PAYLOAD",
    "PLAIN",
    "SHARED",
    "SHARED_SLOTS",
    "SLOTS",
    "Attribute",
    "AttributeCache",
    "Name",
    "classify",
    "describe",
    "name_of",
]

OWN_NAMES = frozenset(
    name
    for name in ALIASES
    if name.startswith(("tokens_", "aggregated_"))
    or name
    in {
        "response_id",
        "first_chunk_s",
        "conversation_id",
        "user_id",
        "task_claim",
        "task_confidence",
        "tool_call_id",
        "source_cost_usd",
        "metadata",
    }
)
"""Columns and inputs of columns in which nearly every span says something else; the others repeat."""

OWN_COLUMNS = tuple(name for name in ALIASES if name in OWN_NAMES)
"""Such columns and inputs by their place."""

SHARED_SLOTS = {name: number for number, name in enumerate(name for name in ALIASES if name not in OWN_NAMES)}
"""Name of another column or input → its place in `shared_values`."""

SLOTS = {**{name: place for place, name in enumerate(OWN_COLUMNS)}, **SHARED_SLOTS}
"""Name of a column or input of one → its place among its kind."""

RAW_SLOTS = frozenset(
    name
    for name in ALIASES
    if name.startswith(("tokens_", "aggregated_"))
    or name in {"first_chunk_s", "source_cost_usd", "task_confidence", "task_claim", "metadata"}
)
"""Slots that keep the value as it was sent; the others are short texts."""

LATEST, OLDER, SHARED, OPENINFERENCE = 1, 2, 4, 8
"""Bits: which set of names a name belongs to."""

EVALUATED = 16
"""Bit of a part of an evaluation that stands on the span that it judges, or on one of the trace."""

EVALUATION = re.compile(
    r"(trace\.|)((?:evaluations|annotations)\.\d+)\.(?:evaluation|annotation)\.(name|score|label|explanation)"
)
"""Name of such a part: whether it is of the trace, which evaluation, which part. Those of a session speak of no single task."""

PLAIN, PAYLOAD, FLATTENED, LOST = -1, -2, -3, -4
"""Kinds of attributes that fill no column of their own; the last is left out and counted."""

KNOWN_KEYS_MAX = 8_192
"""Attribute names that are remembered; instrumentations use a few hundred, flattened lists more."""

KNOWN_MAX = 16_384
"""Attributes in one generation of the table: a thousand times what one agent repeats."""

KNOWN_BYTES_MAX = 4 << 20
"""Raw bytes in one generation; as Python texts they take about three times as much, twice."""

KNOWN_ATTRIBUTE_BYTES_MAX = 2_048
"""A longer attribute is a text that was said, and will not come again."""

PAYLOAD_KEYS = frozenset(
    key
    for keys in (*PAYLOAD_INPUTS.values(), *PAYLOAD_OUTPUTS.values(), SYSTEM_KEYS, DEFINITION_KEYS)
    for key in keys
    if not key.endswith(".")
)

_encode = msgspec.json.Encoder().encode


class Name(msgspec.Struct, gc=False, eq=False, frozen=True):
    """What follows from an attribute's name alone; all attributes of a name share the object.

    Attributes:
        key: The name.
        slot: Place among the columns of its kind, or one of the kinds below zero.
        rank: Rank among the aliases of its slot; for a flattened list the length of its prefix.
        bits: Which sets of names it belongs to.
        is_raw: Whether its slot keeps the value as it was sent.
        repeats: Whether attributes of this name say the same in many spans.
        quoted: The name as it stands before a value in JSON.
    """

    key: str
    slot: int
    rank: int = 0
    bits: int = 0
    is_raw: bool = False
    repeats: bool = False
    quoted: str = ""


def _name(
    key: str, slot: int, rank: int = 0, bits: int = 0, *, is_raw: bool = False, repeats: bool = False
) -> Name:
    return Name(key, slot, rank, bits, is_raw, repeats, f"{_encode(key).decode()}:")


class Attribute(msgspec.Struct, gc=False, eq=False):
    """One parsed attribute; a cached one is the same object each time.

    Attributes:
        name: What its name says.
        value: What fills the slot, the payload's text, or the value inside a flattened list.
        json: `"name":value` as it stands in the column `attributes`.
        cut: Characters that our limits took.
        preview: Last words of a payload, once somebody asked.
    """

    name: Name
    value: Any
    json: str = ""
    cut: int = 0
    preview: str | None = None


def classify(key: str, value: Any) -> Attribute:
    """Parse one attribute.

    Args:
        key: Its name; an empty one makes the attribute `LOST`.
        value: Its value as plain Python.

    Example:
        >>> classify("gen_ai.request.model", "gpt-x").name.slot == SLOTS["request_model"]
        True
        >>> classify("anything.else", [1]).json
        '"anything.else":[1]'
    """
    return describe(name_of(key), value)


def name_of(key: str) -> Name:
    """Classify an attribute's name."""
    return _INDEX.get(key) or _without_column(key)


def describe(name: Name, value: Any) -> Attribute:
    """Parse one attribute whose name is classified already."""
    slot, cut = name.slot, 0
    is_text = value.__class__ is str
    if is_text and len(value) > limits.VALUE_CHARS_MAX:
        cut = len(value) - limits.VALUE_CHARS_MAX
        value = value[: limits.VALUE_CHARS_MAX]
    if value is None and (slot >= 0 or slot == PAYLOAD):
        name = _without_value(name.key)
    elif slot == PAYLOAD:
        if not is_text:
            value = json_text(value)
            cut = max(0, len(value) - limits.VALUE_CHARS_MAX)
            value = value[: limits.VALUE_CHARS_MAX]
        return Attribute(name, value, "", cut)
    elif slot in (FLATTENED, LOST):
        return Attribute(name, value, "", cut)
    text = name.quoted + _encode(value).decode()
    if slot < 0 or value is None:
        return Attribute(name, None, text, cut)
    if not name.is_raw:
        value = without_nul((value if is_text else json_text(value))[: limits.TEXT_CHARS_MAX])
    return Attribute(name, value, text, cut)


class AttributeCache(dict[bytes, Attribute]):
    """A cache of attributes by the bytes they were sent as, in two generations of bounded size.

    Asked for what it does not know, it reads it. A full generation becomes the old one; what is still asked for
    moves to the young one, which is the dictionary itself. Several threads may use it: at worst one reads what
    another has just read.

    Args:
        read: Reads the bytes of one attribute; its faults are passed on.
    """

    __slots__ = ("_bytes", "_old", "_read")

    def __init__(self, read: Callable[[bytes], Attribute]) -> None:
        super().__init__()
        self._read = read
        self._old: dict[bytes, Attribute] = {}
        self._bytes = 0

    @property
    def size(self) -> int:
        """Attributes in both generations."""
        return len(self) + len(self._old)

    def __missing__(self, raw: bytes) -> Attribute:
        """Return an attribute that the young generation lacks: from the old generation, or parsed."""
        found = self._old.get(raw) or self._read(raw)
        size = len(raw)
        if size <= KNOWN_ATTRIBUTE_BYTES_MAX:
            if self._bytes > KNOWN_BYTES_MAX or len(self) >= KNOWN_MAX:
                self._old, self._bytes = dict(self), 0
                self.clear()
            self[raw] = found
            self._bytes += size
        return found


def _bits(key: str) -> int:
    if key in LATEST_KEYS:
        return LATEST
    if key in OLDER_KEYS:
        return OLDER
    if key.startswith("gen_ai."):
        return SHARED
    return OPENINFERENCE if key.startswith(OPENINFERENCE_PREFIXES) else 0


_INDEX: dict[str, Name] = {
    key: _name(key, SLOTS[name], rank, _bits(key), is_raw=name in RAW_SLOTS, repeats=name not in OWN_NAMES)
    for name, keys in ALIASES.items()
    for rank, key in enumerate(keys)
} | {key: _name(key, PAYLOAD, bits=_bits(key)) for key in PAYLOAD_KEYS}
"""Attributes that fill a column or are a payload, by name."""


@lru_cache(maxsize=KNOWN_KEYS_MAX)
def _without_column(key: str) -> Name:
    """Describe an attribute that has no column."""
    if not key or len(key) > limits.KEY_BYTES_MAX:
        return Name(key, LOST)
    prefix = flattened_prefix(key)
    if prefix is not None:
        return Name(key, FLATTENED, len(prefix), OLDER if prefix[0] == "g" else OPENINFERENCE)
    return _name(key, PLAIN, bits=EVALUATED if EVALUATION.fullmatch(key) else 0)


@lru_cache(maxsize=KNOWN_KEYS_MAX)
def _without_value(key: str) -> Name:
    """Describe an attribute whose value is empty although its name has a column."""
    return _name(key, PLAIN, bits=_bits(key))
