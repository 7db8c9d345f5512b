# SPDX-License-Identifier: Apache-2.0
"""The model calls of a recorded run, each with the key that a request of a replay must have to be that call.

The key is the route and the canonical JSON of the body. Ids that the model minted are in the body, so what a request
consumed is part of its key and parallel calls need no order between them. A body without one canonical form (no JSON,
a key twice, a whole number beyond 2^53) is compared byte by byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json
from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RecordedRun

__all__ = ["Exchange", "document_of", "exchanges", "request_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A recorded model call.

    Attributes:
        number: Its place among the calls of the run, from 1, by when they began.
        route: Path from `/v1` on.
        headers: Headers that belong to the request.
        body: Request body.
        document: Parsed body, or None where it has no canonical form.
        key: What a request must have to be this call.
        response: The answer.
    """

    number: int
    route: str
    headers: Mapping[str, str]
    body: bytes
    document: dict[str, Any] | None
    key: str
    response: ModelResponse


def exchanges(recorded: RecordedRun) -> tuple[Exchange, ...]:
    """Return the calls of a run that were answered, in order.

    Args:
        recorded: The run.
    """
    answers = {
        logged.call: logged.event for logged in recorded.events if isinstance(logged.event, ModelResponse)
    }
    found: list[Exchange] = []
    for logged in recorded.events:
        event = logged.event
        if not isinstance(event, ModelRequest):
            continue
        response = answers.get(logged.call)
        if response is None or response.status == 0:
            continue  # the client had gone: it never saw an answer
        found.append(
            Exchange(
                number=len(found) + 1,
                route=event.route,
                headers=event.headers,
                body=event.body,
                document=document_of(event.body),
                key=request_key(event.route, event.body),
                response=response,
            )
        )
    return tuple(found)


def document_of(body: bytes) -> dict[str, Any] | None:
    """Return a body as a JSON object, or None where it has no one canonical form.

    Args:
        body: Any bytes.

    Example:
        >>> document_of(b'{"a": 1}'), document_of(b'{"a": 1, "a": 2}'), document_of(b'{"a": 9007199254740993}')
        ({'a': 1}, None, None)
    """
    try:
        document = json.loads(
            body, object_pairs_hook=_only_once, parse_int=_exact, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def request_key(route: str, body: bytes) -> str:
    """Return what makes two requests the same.

    Args:
        route: Path from `/v1` on.
        body: Request body.

    Example:
        >>> request_key("/v1/x", b'{"a":1,"b":2}') == request_key("/v1/x", b'{ "b": 2, "a": 1.0 }')
        True
    """
    document = document_of(body)
    try:
        text = body if document is None else canonical_json(document).encode()
    except (ValueError, UnicodeEncodeError):
        text = body
    return hashlib.sha256(route.encode() + b"\n" + text).hexdigest()


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) < len(pairs):
        raise ValueError("a key stands twice")
    return built


def _exact(text: str) -> int:
    number = int(text)
    if abs(number) > INTEGER_EXACT_MAX:
        raise ValueError("a whole number that not every reader keeps exactly")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
