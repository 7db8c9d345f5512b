# SPDX-License-Identifier: Apache-2.0
"""Asks a live model on behalf of a replay, through a gateway, so that pins and budgets apply as to any call."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus

from pilothouse.runtime.context.document import readable_of
from pilothouse.runtime.replay.provider_side import provider_effect

__all__ = ["LiveAnswer", "LiveModel"]

TIMEOUT_S = 600.0
"""The gateway's own deadline for a stream; ours only catches a gateway that is gone."""

ANSWER_BYTES_MAX = 32 << 20
"""The largest body that a run log keeps."""

ASKING = frozenset(
    {
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/responses/compact",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
    }
)
"""Where a model is asked. Elsewhere files are kept, jobs begun, stored answers cancelled: what is there afterwards too."""

HIDING = re.compile(rb"mcp|conversation|thread|container|prompt|tool|\\u00", re.IGNORECASE)
"""What a body that no reader takes for one thing may hide, or spell by its numbers."""

LiveAnswer = tuple[int, dict[str, str], bytes]
"""Status, headers that the client needs, body."""


class LiveModel:
    """A gateway or provider that answers what the record does not have.

    `base` is its address, with or without `/v1`; `key` is what it wants to be shown; after `total_s` nothing is asked any more.
    """

    def __init__(self, base: str, key: str | None, *, total_s: float | None = None) -> None:
        self._base = base.rstrip("/").removesuffix("/v1")
        self._key = key
        self._total_s = total_s
        self._ends_s = None if total_s is None else time.monotonic() + total_s

    async def ask(self, route: str, headers: Mapping[str, str], body: bytes) -> LiveAnswer:
        """Send a request and return the whole answer; a gateway that cannot be reached is status 503.

        A request that lets the provider itself call other systems, or that goes where more happens than that a model is asked, is
        not sent: nobody could stop what it does there.

        Args:
            route: Path from `/v1` on.
            headers: Recorded headers that change the answer.
            body: Request body.
        """
        problem = _live_problem(route, body)
        if problem:
            return _told(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"replay_blocked: {problem}, and a replay changes nothing outside",
            )
        left_s = TIMEOUT_S if self._ends_s is None else min(TIMEOUT_S, self._ends_s - time.monotonic())
        if left_s <= 0:
            return _told(HTTPStatus.GATEWAY_TIMEOUT, f"the {self._total_s:g} s of this replay were over")
        import aiohttp  # noqa: PLC0415 - the server can replay, and seldom asks; it is seven megabytes

        sent = {**headers, "content-type": "application/json"}
        if self._key is not None:
            sent["authorization"] = f"Bearer {self._key}"
            sent["x-api-key"] = self._key
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=left_s)) as client,
                client.post(self._base + route, data=body, headers=sent, allow_redirects=False) as answer,
            ):
                content = await answer.content.read(ANSWER_BYTES_MAX)
                while chunk := await answer.content.read(ANSWER_BYTES_MAX - len(content)):
                    content += chunk
                return (
                    answer.status,
                    {"content-type": answer.headers.get("content-type", "application/json")},
                    content,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            return _told(
                HTTPStatus.SERVICE_UNAVAILABLE, f"nothing answers at {self._base} ({type(error).__name__})"
            )


def _live_problem(route: str, body: bytes) -> str:
    """Return what a request would change outside, or empty; one that cannot be read does all that it may hide.

    Example:
        >>> _live_problem("/v1/responses", b'{"tools": [{"type": "mcp", "server_url": "https://crm.example"}]}')
        'the provider itself would call an MCP server'
        >>> _live_problem("/v1/responses", b'{"tools": [{"type": "function", "name": "mcp"}]}')
        ''
        >>> _live_problem("/v1/responses/resp_1/cancel", b"")
        'no model is asked at /v1/responses/resp_1/cancel'
    """
    if route not in ASKING:
        return f"no model is asked at {route[:120]}"
    document = readable_of(body)
    if document is None:
        return "the body can be read in several ways" if HIDING.search(body) else ""
    return provider_effect(document)


def _told(status: HTTPStatus, message: str) -> LiveAnswer:
    return (
        int(status),
        {"content-type": "application/json"},
        json.dumps({"error": {"message": message}}).encode(),
    )
