# SPDX-License-Identifier: Apache-2.0
"""Refuse a body by its shape: parsed, two bytes that say "another empty span" become five hundred in memory (bytes → bounds).

A large body is looked at before it is parsed, and any message before its items are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilothouse.errors import LimitExceeded
from pilothouse.lake.limits import (
    BODY_WIRE_BYTES_MAX,
    FIELDS_BESIDE_MAX,
    ITEMS_MAX,
    ORDINARY_BYTES_MAX,
    WIRE_BYTES_PER_OBJECT_MIN,
    WIRE_BYTES_PER_PART_MIN,
)
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.ports.intake import Signal

__all__ = ["count_items", "refuse_amplification"]

_GROUPS = {
    Signal.TRACES: ("resource_spans", "scope_spans", "spans"),
    Signal.LOGS: ("resource_logs", "scope_logs", "log_records"),
    Signal.METRICS: ("resource_metrics", "scope_metrics", "metrics"),
}

_LEVELS = (1, 2, 2)
"""Numbers of the fields that lead to an item: resource, scope, item; the same for all three signals."""

_BESIDE = -1
"""Stands for a field that leads to no item and is no part of one; its limit is the last."""

_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
"""Wire type → bytes of its value."""


def refuse_amplification(encoding: Encoding, body: bytes) -> None:
    """Refuse a large body that would expand to many times its size in memory.

    Raises:
        LimitExceeded: It consists of more groups or objects than telemetry does.
    """
    if len(body) <= ORDINARY_BYTES_MAX:
        return
    if encoding is Encoding.JSON:
        if body.count(b"{") * WIRE_BYTES_PER_OBJECT_MIN > len(body):
            raise LimitExceeded(
                f"the body has an object for less than every {WIRE_BYTES_PER_OBJECT_MIN} bytes",
                remedy="Send ordinary telemetry.",
            )
        return
    limits = [ITEMS_MAX] * len(_LEVELS) + [len(body) // WIRE_BYTES_PER_PART_MIN, FIELDS_BESIDE_MAX]
    levels = len(_LEVELS) + (
        len(body) > BODY_WIRE_BYTES_MAX
    )  # a collector sends up to that: its parts are not counted
    for level in _entered(body, 0, len(body), range(levels)):
        limits[level] -= 1
        if limits[level] < 0:
            break
    else:
        return
    if level == _BESIDE:
        raise LimitExceeded(
            f"the body has more than {FIELDS_BESIDE_MAX:,} fields that are neither items nor parts of them",
            remedy="Send ordinary telemetry.",
        )
    if level < len(_LEVELS):
        raise _too_many(f"more than {ITEMS_MAX}")
    raise LimitExceeded(
        f"the items of the body have a part for less than every {WIRE_BYTES_PER_PART_MIN} bytes",
        remedy="Send ordinary telemetry.",
    )


def count_items(signal: Signal, message: Any) -> int:
    """Return how many items a request has, without parsing any of them.

    Args:
        signal: Which service it was sent to.
        message: The protobuf message or the struct.

    Raises:
        LimitExceeded: It has more than `ITEMS_MAX`, or as many resources or scopes, with or without items.
    """
    name, scopes_name, items_name = _GROUPS[signal]
    resources = getattr(message, name)
    scopes = items = 0
    if len(resources) > ITEMS_MAX:
        raise _too_many(len(resources))
    for resource in resources:
        within = getattr(resource, scopes_name)
        scopes += len(within)
        if scopes > ITEMS_MAX:
            raise _too_many(scopes)
        items += sum(len(getattr(scope, items_name)) for scope in within)
        if items > ITEMS_MAX:
            raise _too_many(items)
    return items


def _too_many(count: int | str) -> LimitExceeded:
    return LimitExceeded(
        f"the request has {count} items, at most {ITEMS_MAX} are taken",
        remedy="Lower the exporter's batch size (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).",
    )


def _entered(body: bytes, at: int, end: int, levels: range) -> Iterator[int]:
    """Yield the level of each group, item and part of an item, and `_BESIDE` for every other field.

    What is no protobuf ends it, for the parser to say so.
    """
    level, below = levels[0], levels[1:]
    number = _LEVELS[level] if level < len(_LEVELS) else None
    while at < end:
        tag, at = _varint(body, at, end)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            size, at = _varint(body, at, end)
            if number is None or tag >> 3 == number:
                yield level
                if below:
                    yield from _entered(body, at, min(at + size, end), below)
            else:
                yield _BESIDE
            at += size
            continue
        yield _BESIDE
        if kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind == 0:
            _, at = _varint(body, at, end)
        else:
            return


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number and the place after it; the end where it is longer than 64 bits take."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            return number, end
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    return number, end
