# SPDX-License-Identifier: Apache-2.0
"""Events as JSON with their content taken out, and back.

What is left of an event in the log is harmless by itself: fields that hold content are references to sealed pieces.
A body that begins like an earlier one of its run refers to that one and lists only its own pieces, so that a
conversation of n calls costs O(n) bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from pilothouse.core.evidence.run_log import (
    ContextEdited,
    Denied,
    Draw,
    Event,
    HostContacted,
    IdentitySource,
    ModelRequest,
    ModelResponse,
    OutputHeld,
    RunClosed,
    RunOpened,
    RunState,
    ToolCalled,
    ToolReturned,
)
from pilothouse.errors import MalformedRecord

__all__ = [
    "BodyReference",
    "Values",
    "contents_of",
    "decode_event",
    "encode_values",
    "event_of",
    "value_of",
    "values_of",
]

Values = tuple[Any, ...]
"""The fields of an event in their order, and its kind."""

_TYPES: dict[str, type[Any]] = {
    kind.kind: kind
    for kind in (
        RunOpened,
        ModelRequest,
        ModelResponse,
        ToolCalled,
        ToolReturned,
        Draw,
        HostContacted,
        ContextEdited,
        OutputHeld,
        Denied,
        RunClosed,
    )
}
_NAMES = {kind: tuple(each.name for each in fields(kind_type)) for kind, kind_type in _TYPES.items()}
_VALUES = {kind: attrgetter(*names, "kind") for kind, names in _NAMES.items()}

_CONTENT = {
    kind: tuple(place for place, each in enumerate(fields(kind_type)) if "bytes" in str(each.type))
    for kind, kind_type in _TYPES.items()
}
"""Places of the fields that hold content, by kind of event."""

_LINE = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=dict)
_QUICK_LINE = msgspec.json.Encoder(order="sorted", enc_hook=dict)

_ENUMS: dict[str, type[StrEnum]] = {"identity": IdentitySource, "state": RunState}

BODY = "$body"
"""Key of a reference to content; no field of an event has such a key itself."""


class BodyReference(NamedTuple):
    """Where the pieces of a content field are.

    Attributes:
        base: Number of an earlier body of the run that begins the same way, or None.
        keep: How many of its pieces come first.
        then: Addresses of the further pieces.
        number: Number of this body in the run.
        digest: Address of the whole.
        size: Length of the whole, bytes.
    """

    base: int | None
    keep: int
    then: tuple[bytes, ...]
    number: int
    digest: bytes
    size: int


def contents_of(values: Values) -> Iterator[bytes]:
    """Yield what of an event is content."""
    for place in _CONTENT[values[-1]]:
        content = values[place]
        if content is not None:
            yield content


def values_of(event: Event) -> Values:
    """Return the fields of an event in their order, and its kind: what waits, goes to the process that writes, and is written.

    Example:
        >>> event_of(values_of(Denied(code="killed", reason="paused")))
        Denied(code='killed', reason='paused')
    """
    values: Values = _VALUES[event.kind](event)
    return values


def event_of(values: Values) -> Event:
    """Return the event that `values_of` took apart.

    Args:
        values: Its fields in their order, and its kind.
    """
    kind = values[-1]
    event: Event = _TYPES[kind](**dict(zip(_NAMES[kind], values, strict=False)))
    return event


def value_of(values: Values, name: str) -> Any:
    """Return one field of an event.

    Example:
        >>> value_of(values_of(Denied(code="killed", reason="paused")), "reason")
        'paused'
    """
    return values[_NAMES[values[-1]].index(name)]


def encode_values(values: Values, store: Callable[[bytes], BodyReference]) -> str:
    """Return an event as one line of JSON."""
    kind = values[-1]
    names = _NAMES[kind]
    out: dict[str, Any] = dict(zip(names, values, strict=False))
    for place in _CONTENT[kind]:
        content = values[place]
        if content is None:
            continue
        base, keep, then, number, digest, size = store(content)
        out[names[place]] = {
            BODY: [base, keep, [address.hex() for address in then], number, digest.hex(), size]
        }
    try:
        return _QUICK_LINE.encode(out).decode()
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
        return _LINE.encode(
            out
        )  # half a surrogate pair, or an integer beyond 64 bits: rare, and kept all the same


def decode_event(kind: str, text: str, load: Callable[[BodyReference], bytes]) -> Event:
    """Return an event of a line that `encode_values` wrote.

    Raises:
        MalformedRecord: The line is none, or of a kind or shape that this version does not know.
    """
    try:
        kind_type = _TYPES[kind]
        values: dict[str, Any] = json.loads(text)
        for name, value in values.items():
            if isinstance(value, dict) and BODY in value:
                base, keep, then, number, digest, size = value[BODY]
                values[name] = load(
                    BodyReference(
                        base=base,
                        keep=keep,
                        then=tuple(bytes.fromhex(address) for address in then),
                        number=number,
                        digest=bytes.fromhex(digest),
                        size=size,
                    )
                )
            elif isinstance(value, list):
                values[name] = tuple(value)
            elif name in _ENUMS:
                values[name] = _ENUMS[name](value)
        event: Event = kind_type(**values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedRecord(
            f"an event of kind {kind!r} cannot be read",
            remedy="Look at the installation: `pilothouse doctor`",
        ) from error
    return event
