# SPDX-License-Identifier: Apache-2.0
"""The differences between OTLP in protobuf and in JSON: values, attributes, ids and status."""

from __future__ import annotations

import base64
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import msgspec

from pilothouse.lake import otlp_json
from pilothouse.lake.attributes import Attribute, AttributeCache, classify
from pilothouse.lake.limits import DEPTH_MAX, STATUS_MESSAGE_CHARS_MAX
from pilothouse.lake.otlp_pair import read_short_pair
from pilothouse.lake.otlp_wire import KeyValue, Status

__all__ = ["DIALECTS", "Dialect", "Encoding"]

NO_ID = "?"
"""Stands for what was sent as an id and is none."""

STATUSES_MAX = 256
"""Statuses that are remembered: nearly all spans have one of a few."""

CUT = otlp_json.CUT


class Encoding(IntEnum):
    """The encoding of a request; its number is stored in the log."""

    PROTOBUF = 0
    JSON = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Readers of the parts that protobuf and JSON encode differently.

    Attributes:
        value: AnyValue → plain value.
        attributes: Pairs → dict, without those that cannot be read.
        raws: Attributes of an item → the bytes of each.
        known: Attributes of items that were read before.
        hex_id: Id as sent → lower-case hex text of any length; `NO_ID` when it is none.
        status: Status as sent → its code and its message, cut.
    """

    value: Callable[[Any], Any]
    attributes: Callable[[Any], dict[str, Any]]
    raws: Callable[[Any], list[bytes]]
    known: AttributeCache
    hex_id: Callable[[Any], str]
    status: Callable[[Any], tuple[int, str]]

    def read(self, attributes: Any) -> Sequence[Attribute]:
        """Return the attributes of an item, each read once for all its repetitions."""
        return list(map(self.known.__getitem__, self.raws(attributes)))


def _json_id(sent: str) -> str:
    if sent.isascii() and sent.isalnum():
        try:
            return bytes.fromhex(sent).hex()
        except ValueError:
            return NO_ID
    return NO_ID if sent else ""


def _protobuf_value(value: Any, depth: int = DEPTH_MAX) -> Any:
    text = value.string_value
    if text:
        return text
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return ""
    if kind == "int_value":
        return value.int_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "double_value":
        number = value.double_value
        return (
            number if math.isfinite(number) else otlp_json.json_value(otlp_json.AnyValue(double_value=number))
        )
    if kind == "array_value":
        return CUT if depth <= 0 else [_protobuf_value(item, depth - 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        if depth <= 0:
            return CUT
        return {pair.key: _protobuf_value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def _protobuf_attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: _protobuf_value(pair.value) for pair in pairs if not pair.value.string_value_strindex}
    found.pop("", None)
    return found


def _read_protobuf(raw: bytes) -> Attribute:
    short = read_short_pair(raw)
    if short is not None:
        return short
    pair = KeyValue.FromString(raw)
    value = pair.value
    # One of a string table that this protocol has no table for is counted like one without a key, never guessed.
    return classify("" if value.string_value_strindex else pair.key, _protobuf_value(value))


def _json_attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: otlp_json.json_value(pair.value) for pair in pairs}
    found.pop("", None)
    return found


_decode_pair = msgspec.json.Decoder(otlp_json.KeyValue).decode


def _known_status(status: Any) -> tuple[int, str]:
    return status.code if 0 <= status.code <= 2 else 0, status.message[:STATUS_MESSAGE_CHARS_MAX]


@lru_cache(maxsize=STATUSES_MAX)
def _read_status(raw: bytes) -> tuple[int, str]:
    return _known_status(Status.FromString(raw))


def _read_json(raw: bytes) -> Attribute:
    pair = _decode_pair(raw)
    return classify(pair.key, otlp_json.json_value(pair.value))


DIALECTS: dict[Encoding, Dialect] = {
    Encoding.PROTOBUF: Dialect(
        value=_protobuf_value,
        attributes=_protobuf_attributes,
        raws=operator.itemgetter(slice(None)),  # one call that makes the list is twice as fast as iterating
        known=AttributeCache(_read_protobuf),
        hex_id=bytes.hex,
        status=_read_status,
    ),
    Encoding.JSON: Dialect(
        value=otlp_json.json_value,
        attributes=_json_attributes,
        raws=lambda attributes: [bytes(one) for one in attributes],
        known=AttributeCache(_read_json),
        hex_id=_json_id,
        status=_known_status,
    ),
}
