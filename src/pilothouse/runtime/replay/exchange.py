# SPDX-License-Identifier: Apache-2.0
"""The model calls of a recorded run, each with the key by which a replayed request matches it.

The key is the route and the canonical JSON of the body. Ids that the model minted are in the body, so what a request
consumed is part of its key and parallel calls need no order between them. A body without one canonical form (no JSON,
a key twice, a whole number beyond 2^53) is compared byte by byte.

Calls stand in the order in which they began; they are written in the order in which they ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.run_log import (
    ContextEdited,
    ModelRequest,
    ModelResponse,
    RecordedRun,
)
from pilothouse.runtime.context.document import document_of, readable_of

__all__ = ["Exchange", "exchanges", "is_answering", "request_key"]

MEASURING = frozenset({"/v1/embeddings", "/v1/messages/count_tokens"})
"""Routes whose answer is numbers: a change of what the agent's model is or reads does not concern them, and no run ends there."""

SECOND_NS = 10**9


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A recorded model call; its bodies are long, and each is parsed once, when it is first asked for.

    Attributes:
        call: Its id in the record.
        number: Its place among the calls of the run, from 1, by when they began.
        route: Path from `/v1` on.
        headers: Headers that belong to the request.
        body: Request body.
        response: The answer.
        sent: Body as the provider got it, where edits of the context took something out, else None.
    """

    call: str
    number: int
    route: str
    headers: Mapping[str, str]
    body: bytes
    response: ModelResponse
    sent: bytes | None = None

    @cached_property
    def document(self) -> dict[str, Any] | None:
        """Parsed body, or None where readers may take it for different ones."""
        return readable_of(self.body)

    @cached_property
    def shortened(self) -> dict[str, Any] | None:
        """Parsed body as the provider got it, where edits of the context took something out, else None."""
        return readable_of(self.sent) if self.sent else None

    @cached_property
    def key(self) -> str:
        """What a request must have to be this call."""
        return request_key(self.route, self.body)

    @property
    def is_answering(self) -> bool:
        """Whether the call is answered by a model."""
        return is_answering(self.route)


def is_answering(route: str) -> bool:
    """Return whether a route is answered by a model.

    Example:
        >>> is_answering("/v1/messages"), is_answering("/v1/embeddings")
        (True, False)
    """
    return route not in MEASURING


def exchanges(recorded: RecordedRun) -> tuple[Exchange, ...]:
    """Return the calls of a run that were answered, in the order in which they began.

    A client that went away in the middle of an answer has read its beginning, and goes on from it: that is what it is given
    again, unless it asked the same once more and was answered.
    """
    answers, shift_ns = _answers(recorded)
    edited = {logged.call for logged in recorded.events if isinstance(logged.event, ContextEdited)}
    found: list[Exchange] = []
    asked = [
        (logged, logged.event)
        for logged in recorded.events
        if isinstance(logged.event, ModelRequest) and logged.call in answers
    ]
    for logged, event in sorted(asked, key=lambda each: each[0].at_ns + shift_ns[each[0].call]):
        found.append(
            Exchange(
                call=logged.call,
                number=0,
                route=event.route,
                headers=event.headers,
                body=event.body,
                response=answers[logged.call],
                sent=event.sent if logged.call in edited else None,
            )
        )
    is_cut = any(not each.response.status for each in found)
    whole = {each.key for each in found if each.response.status} if is_cut else set()
    kept = [each for each in found if each.response.status or each.key not in whole]
    return tuple(
        replace(
            each, number=number, response=replace(each.response, status=each.response.status or HTTPStatus.OK)
        )
        for number, each in enumerate(kept, start=1)
    )


def _answers(recorded: RecordedRun) -> tuple[dict[str, ModelResponse], dict[str, int]]:
    """Return by call what its client read, and by how much its time of day must be shifted, nanoseconds.

    A time of day that was set anew during the run says nothing about order; the monotonic clock beside it tells by how much.
    That one begins anew with its machine, and then the time of day is believed.
    """
    answers: dict[str, ModelResponse] = {}
    shift_ns: dict[str, int] = {}
    usual_ns = last_ns = None
    for logged in recorded.events:
        event = logged.event
        if not isinstance(event, ModelResponse) or not (event.status or event.body):
            continue
        apart_ns = logged.mono_ns - logged.at_ns
        if usual_ns is None or last_ns is None or logged.mono_ns < last_ns:
            usual_ns = apart_ns
        last_ns = logged.mono_ns
        answers[logged.call] = event
        shift_ns[logged.call] = round((apart_ns - usual_ns) / SECOND_NS) * SECOND_NS
    return answers, shift_ns


def request_key(route: str, body: bytes) -> str:
    """Return the key that equal requests share.

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
