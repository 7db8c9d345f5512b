# SPDX-License-Identifier: Apache-2.0
"""The model calls of a recorded run, each with the key that a request of a replay must have to be that call.

The key is the route and the canonical JSON of the body. Ids that the model minted are in the body, so what a request
consumed is part of its key and parallel calls need no order between them. A body without one canonical form (no JSON,
a key twice, a whole number beyond 2^53) is compared byte by byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.run_log import ContextEdited, ModelRequest, ModelResponse, RecordedRun
from pilothouse.runtime.context.document import document_of

__all__ = ["Exchange", "exchanges", "request_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A recorded model call.

    Attributes:
        call: Its id in the record.
        number: Its place among the calls of the run, from 1, by when they began.
        route: Path from `/v1` on.
        headers: Headers that belong to the request.
        body: Request body.
        document: Parsed body, or None where it has no canonical form.
        key: What a request must have to be this call.
        response: The answer.
        shortened: Parsed body as the provider got it, where edits of the context took something out, else None.
    """

    call: str
    number: int
    route: str
    headers: Mapping[str, str]
    body: bytes
    document: dict[str, Any] | None
    key: str
    response: ModelResponse
    shortened: dict[str, Any] | None = None


def exchanges(recorded: RecordedRun) -> tuple[Exchange, ...]:
    """Return the calls of a run that were answered, in order.

    Args:
        recorded: The run.
    """
    answers = {
        logged.call: logged.event for logged in recorded.events if isinstance(logged.event, ModelResponse)
    }
    edited = {logged.call for logged in recorded.events if isinstance(logged.event, ContextEdited)}
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
                call=logged.call,
                number=len(found) + 1,
                route=event.route,
                headers=event.headers,
                body=event.body,
                document=document_of(event.body),
                key=request_key(event.route, event.body),
                response=response,
                shortened=document_of(event.sent) if event.sent and logged.call in edited else None,
            )
        )
    return tuple(found)


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
