# SPDX-License-Identifier: Apache-2.0
"""Where a replayed request differs from the nearest recorded one, and what kind of difference it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from pilothouse.runtime.context.conversation import tool_results, tool_uses
from pilothouse.runtime.replay.exchange import Exchange

__all__ = [
    "MISSING",
    "Divergence",
    "DivergenceKind",
    "describe",
    "differences",
    "kind_at",
    "nearest",
    "shown_pair",
]

DIFFERENCES_MAX = 20
"""Paths named for one call; what else differs follows from them."""

VALUE_CHARS_MAX = 200
"""Characters shown of a value on each side."""

SHARED_CHARS_MAX = 40
"""Characters shown of what both sides of a long value begin with: enough to find the place."""

MISSING = object()
"""Stands for a value that one side does not have."""

CONVERSATION = re.compile(r"^\$\.(?:messages|input)(?:\[(\d+)\])?")


class DivergenceKind(StrEnum):
    """The kind of a difference."""

    MODEL = "model"
    PARAMS = "params"
    INSTRUCTIONS = "instructions"
    TOOL_SCHEMA = "tool_schema"
    HISTORY = "history"
    TOOL_RESULT = "tool_result"
    RETRIEVAL = "retrieval"
    MISSING = "missing"
    EXTRA = "extra"
    BODY = "body"
    """Bytes without one canonical form differ."""


MAY_CARRY = frozenset({DivergenceKind.HISTORY, DivergenceKind.TOOL_RESULT, DivergenceKind.INSTRUCTIONS})
"""Where an agent puts the documents that it has looked up."""


Hides = Callable[[str, Any, Any, dict[str, Any], dict[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first place where a replay diverges from its record.

    Attributes:
        call: Number of the recorded call, or of the further one.
        kind: What kind of thing.
        path: JSON path of the first difference in the request; `$` for a whole call.
        tool: Tool whose result differs, or None.
        recorded: What the record has there, shortened.
        found: What the replay has there, shortened.
        further: Further paths that differ.
    """

    call: int
    kind: DivergenceKind
    path: str
    tool: str | None = None
    recorded: str = ""
    found: str = ""
    further: tuple[str, ...] = ()


def differences(recorded: Any, found: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values of each place where two JSON values differ, in the order of the recorded one.

    Args:
        recorded: One value.
        found: The other.
        path: Where both stand.

    Example:
        >>> list(differences({"a": [1, 2], "b": 1}, {"a": [1, 3], "b": 1}))
        [('$.a[1]', 2, 3)]
    """
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in [*recorded, *(key for key in found if key not in recorded)]:
            inner = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
            yield from differences(recorded.get(key, MISSING), found.get(key, MISSING), inner)
    elif isinstance(recorded, list) and isinstance(found, list):
        for place in range(max(len(recorded), len(found))):
            yield from differences(
                recorded[place] if place < len(recorded) else MISSING,
                found[place] if place < len(found) else MISSING,
                f"{path}[{place}]",
            )
    elif not _same(recorded, found):
        yield path, recorded, found


def nearest(
    found: dict[str, Any], route: str, waiting: Sequence[Exchange], served: Sequence[Exchange]
) -> tuple[Exchange | None, bool]:
    """Return the recorded call most similar to a request, and whether it was served already.

    Args:
        found: Parsed request.
        route: Its route.
        waiting: Recorded calls that were not asked for yet.
        served: Those that were.
    """
    best: Exchange | None = None
    least = -1
    is_served = False
    for group, was_served in ((waiting, False), (served, True)):
        for exchange in group:
            if exchange.document is None or exchange.route != route:
                continue
            distance = sum(
                _leaves(mine) + _leaves(theirs) for _, mine, theirs in differences(exchange.document, found)
            )
            if least < 0 or distance < least:
                best, least, is_served = exchange, distance, was_served
    return best, is_served


def describe(
    found: dict[str, Any] | None,
    body: bytes,
    route: str,
    waiting: Sequence[Exchange],
    served: Sequence[Exchange],
    *,
    retrieved: Callable[[], Sequence[str]] = tuple,
    hides: Hides = lambda *_: False,
) -> Divergence:
    """Name the divergence of a request that no recorded call matches.

    Args:
        found: Parsed request, or None where it has no canonical form.
        body: Its bytes.
        route: Its route.
        waiting: Recorded calls that were not asked for yet.
        served: Those that were.
        retrieved: Returns the texts that retrieval steps of the run brought in; asked only where a text differs.
        hides: Whether a mask covers a difference: its path, both values and both requests.
    """
    asked = len(served) + 1
    if found is None:
        call = next((each for each in waiting if each.route == route), None)
        return Divergence(
            call=call.number if call else asked,
            kind=DivergenceKind.BODY if call else DivergenceKind.EXTRA,
            path="$",
            found=_cut(body.decode("utf-8", "replace")),
        )
    call, was_served = nearest(found, route, waiting, served)
    if call is None or call.document is None or was_served:
        return Divergence(
            call=len(served) + len(waiting) + 1 if not waiting else asked,
            kind=DivergenceKind.EXTRA,
            path="$",
            found=_cut(_text(found)),
        )
    return _classify(call, found, retrieved=retrieved, hides=hides)


def _classify(
    call: Exchange, found: dict[str, Any], *, retrieved: Callable[[], Sequence[str]], hides: Hides
) -> Divergence:
    """Classify the difference between a recorded call and the corresponding request.

    Args:
        call: The recorded call, with a document.
        found: Parsed request.
        retrieved: Returns the texts that retrieval steps of the run brought in; asked only where a text differs.
        hides: Whether a mask covers a difference.
    """
    document = call.document or {}
    every = list(differences(document, found))
    left = (each for each in every if not hides(*each, document, found))
    places = list(islice(left, DIFFERENCES_MAX)) or every
    path, recorded, other = places[0]
    kind, tool = kind_at(path, document, found)
    if kind in MAY_CARRY and _differs_by(retrieved(), str(recorded), str(other)):
        kind = DivergenceKind.RETRIEVAL
    shown = shown_pair(recorded, other)
    return Divergence(
        call=call.number,
        kind=kind,
        path=path,
        tool=tool,
        recorded=shown[0],
        found=shown[1],
        further=tuple(each for each, _, _ in places[1:DIFFERENCES_MAX]),
    )


def _differs_by(texts: Sequence[str], recorded: str, found: str) -> bool:
    """Whether a retrieved text is on one side only."""
    return any((text in recorded) != (text in found) for text in texts)


def kind_at(path: str, document: dict[str, Any], found: dict[str, Any]) -> tuple[DivergenceKind, str | None]:
    """Return what kind of thing stands at a place of a request, and the tool where it is a result.

    Args:
        path: JSON path of a difference.
        document: The recorded request.
        found: The other one.

    Example:
        >>> str(kind_at("$.tools[0].name", {}, {})[0])
        'tool_schema'
    """
    if path.startswith(("$.system", "$.instructions")):
        return DivergenceKind.INSTRUCTIONS, None
    if re.match(r"^\$\.tools(?:$|[.\[])", path):
        return DivergenceKind.TOOL_SCHEMA, None
    if path == "$.model":
        return DivergenceKind.MODEL, None
    if path == "$.previous_response_id":
        return DivergenceKind.HISTORY, None
    match = CONVERSATION.match(path)
    if match is None:
        return DivergenceKind.PARAMS, None
    for side in (document, found):
        for result in tool_results(side):
            if path == result.path or path.startswith((result.path + ".", result.path + "[")):
                use = tool_uses(document).get(result.call_id) or tool_uses(found).get(result.call_id)
                return DivergenceKind.TOOL_RESULT, use.name if use else None
    if match[1] is not None:
        name = path[2 : path.index("[")]
        for side in (document, found):
            items = side.get(name)
            place_n = int(match[1])
            if isinstance(items, list) and place_n < len(items) and isinstance(items[place_n], dict):
                role = items[place_n].get("role")
                return (
                    DivergenceKind.INSTRUCTIONS if role in ("system", "developer") else DivergenceKind.HISTORY
                ), None
    return DivergenceKind.HISTORY, None


def _leaves(value: Any) -> int:
    if value is MISSING:
        return 0
    if isinstance(value, dict):
        return sum(map(_leaves, value.values())) or 1
    if isinstance(value, list):
        return sum(map(_leaves, value)) or 1
    return 1


def _same(one: Any, other: Any) -> bool:
    """Whether two leaves are the same JSON: 1 is 1.0, and neither is true."""
    return one is other or (isinstance(one, bool) == isinstance(other, bool) and bool(one == other))


def shown_pair(recorded: Any, found: Any) -> tuple[str, str]:
    """Return both values of a difference as text, shortened around the first difference.

    Example:
        >>> [text[-12:] for text in shown_pair("a" * 300 + " left", "a" * 300 + " right")]
        ['aaaaaaa left', 'aaaaaa right']
    """
    one, other = _text(recorded), _text(found)
    if max(len(one), len(other)) <= VALUE_CHARS_MAX:
        return one, other
    pairs = enumerate(zip(one, other, strict=False))
    part = next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
    begin = max(0, part - SHARED_CHARS_MAX)
    return _cut(one, begin), _cut(other, begin)


def _text(value: Any) -> str:
    if value is MISSING:
        return "(nothing)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, begin: int = 0) -> str:
    """Return at most `VALUE_CHARS_MAX` characters of a text from a place on, with a mark where something is left out."""
    shown = text[begin : begin + VALUE_CHARS_MAX]
    return ("…" if begin else "") + (shown[:-1] + "…" if begin + len(shown) < len(text) else shown)
