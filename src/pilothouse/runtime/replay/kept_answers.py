# SPDX-License-Identifier: Apache-2.0
"""What a replay answers about responses that the run's provider keeps: they are in the record, though asking for them was no call of a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pilothouse.runtime.gateway.call import UNDONE
from pilothouse.runtime.gateway.routes import PREFIX, find_place
from pilothouse.runtime.gateway.sse import cut_after, event_data, goes_on_after
from pilothouse.runtime.loose_json import object_or_empty
from pilothouse.runtime.replay.exchange import Exchange

__all__ = ["kept_answer"]


def kept_answer(
    served: Sequence[Exchange], method: str, route: str, query: bytes
) -> tuple[str, bytes] | None:
    """Return type and body of the answer to a request that fetches, cancels or deletes a response that the replay has served, or None.

    None is said where the record does not have it: what was asked (`input_items`), a response that was never done, one of another run.

    Args:
        served: Calls that were answered from the record, in order.
        method: HTTP method.
        route: Path from `/v1` on.
        query: What stands behind it: a stream that was recorded as one may be read again, whole or from an event on.
    """
    place = find_place(method, PREFIX + route, says_anthropic=False).route
    if place is None or place.stored_id is None or route.endswith("/input_items"):
        return None
    is_stream = method == "GET" and b"stream=true" in query
    for exchange in reversed(served):
        body = exchange.response.body
        document = _response_of(body)
        if document.get("id") != place.stored_id or document.get("status") in UNDONE:
            continue
        if is_stream and body.lstrip().startswith(b"{"):
            continue
        if is_stream:
            after = goes_on_after(query)
            return "text/event-stream", body if after is None else cut_after(body, after)[1]
        if method == "DELETE":
            document = {"id": place.stored_id, "object": "response", "deleted": True}
        return "application/json", json.dumps(document).encode()
    return None


def _response_of(body: bytes) -> dict[str, Any]:
    """Return the response that an answer is, or that its last event of a whole response says; empty for any other answer."""
    found = object_or_empty(body)
    if found.get("object") == "response":
        return found
    found = {}
    for data in event_data(body):
        said = object_or_empty(data).get("response") if b'"response"' in data else None
        found = said if isinstance(said, dict) else found
    return found
