# SPDX-License-Identifier: Apache-2.0
"""`GET …/v1/recall/ID` beside the model routes: an agent reads results that were removed from its requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from pilothouse.errors import PilothouseError, UnknownName
from pilothouse.interfaces.http.server import App, Receive, Scope, Send
from pilothouse.ports.gateway import WireProtocol
from pilothouse.ports.runlog import RunLog
from pilothouse.runtime.gateway.key_book import KeyBook
from pilothouse.runtime.gateway.keys import shown_key
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused, error_body
from pilothouse.workflows.gateway.context_recall import recall_result

__all__ = ["PLACE", "recall_range", "with_recall"]

PLACE = "/v1/recall/"
"""What stands before an id in the path."""

QUERY_CHARACTERS_MAX = 200
"""Two numbers with their names."""


def with_recall(inner: App, keys: KeyBook, log: RunLog) -> App:
    """Return an application that answers recalls and delegates everything else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if PLACE not in scope["path"] or scope["method"] != "GET":
            await inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        spoken = WireProtocol.ANTHROPIC if b"anthropic-version" in headers else WireProtocol.OPENAI
        try:
            key, _ = await keys.holder(shown_key(headers), datetime.now(UTC))
            start, end = recall_range(scope["query_string"])
            ident = scope["path"].partition(PLACE)[2]
            text = await asyncio.to_thread(recall_result, log, ident, agent=key.agent, start=start, end=end)
        except Refused as refused:
            await _answer(send, refused.refusal.code.status, error_body(spoken, refused.refusal))
        except PilothouseError as error:
            is_unknown = isinstance(error, UnknownName)
            code = RefusalCode.RECALL_UNKNOWN if is_unknown else RefusalCode.RECORD_REQUIRED
            refusal = Refusal(code, error.message, error.remedy or "")
            await _answer(send, code.status, error_body(spoken, refusal))
        else:
            await _answer(send, 200, text.encode("utf-8", "replace"), kind=b"text/plain; charset=utf-8")

    return app


def recall_range(query: bytes) -> tuple[int, int | None]:
    """Return `start` and `end` of a query in characters; missing or invalid ends mean the whole.

    Example:
        >>> recall_range(b"start=10&end=20"), recall_range(b"end=x")
        ((10, 20), (0, None))
    """
    said = parse_qs(query[:QUERY_CHARACTERS_MAX].decode("latin-1"))
    start, end = (_number(said.get(name, [""])[0]) for name in ("start", "end"))
    return start or 0, end


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


async def _answer(send: Send, status: int, body: bytes, *, kind: bytes = b"application/json") -> None:
    headers: list[Any] = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status != 200:
        headers.append((b"x-should-retry", b"false"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
