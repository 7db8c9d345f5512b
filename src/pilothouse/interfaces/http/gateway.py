# SPDX-License-Identifier: Apache-2.0
"""The model gateway as a plain ASGI application: no framework delays a token on its way to the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from pilothouse.interfaces.http.joined_writes import ANSWER, PASS_ON
from pilothouse.runtime.gateway.caller import BODY_BYTES_MAX, BodyTooLarge, Headers
from pilothouse.runtime.gateway.gateway import Gateway

__all__ = ["gateway_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def gateway_app(gateway: Gateway) -> App:
    """Return the ASGI application for everything under `/gw`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = _AsgiCaller(scope, receive, send)
        try:
            await gateway.handle(caller)
        finally:
            caller.close()

    return app


def _by_send(*_: object) -> bool:
    """Leave it to `send`: another server may offer no other way."""
    return False


class _AsgiCaller:
    """`Caller` over ASGI."""

    __slots__ = (
        "_answer",
        "_on_gone",
        "_receive",
        "_send",
        "_watch",
        "headers",
        "method",
        "pass_on",
        "path",
        "query",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]
        direct = scope.get("extensions", {})
        self.pass_on: Callable[[bytes], bool] = partial(direct.get(PASS_ON, _by_send), scope)
        self._answer: Callable[[int, Headers, bytes], bool] = partial(direct.get(ANSWER, _by_send), scope)
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None
        self._on_gone: Callable[[], None] | None = None

    async def read_body(self) -> bytes:
        """Return the whole body."""
        for name, stated in self.headers:
            if name == b"content-length" and stated.isdigit() and int(stated) > BODY_BYTES_MAX:
                raise BodyTooLarge
        message = await self._next()
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return first
        parts, size = [first], len(first)
        while message.get("more_body"):
            message = await self._next()
            part = message.get("body", b"")
            size += len(part)
            if size > BODY_BYTES_MAX:
                raise BodyTooLarge
            parts.append(part)
        return b"".join(parts)

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call `on_gone` once when the client disconnects from now on."""
        self._on_gone = on_gone
        self._watch = asyncio.create_task(self._wait_for_end())

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        self._on_gone = None
        if not self._answer(status, headers, body):
            await self.start(status, headers)
            await self.send(body, more=False)

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, part: bytes, *, more: bool) -> None:
        """Send a part of the body; waits while the client applies backpressure."""
        if not more:
            self._on_gone = None  # what comes now is the regular end
        await self._send({"type": "http.response.body", "body": part, "more_body": more})

    def close(self) -> None:
        """Stop watching the client."""
        self._on_gone = None
        if self._watch is not None:
            self._watch.cancel()

    async def _wait_for_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._on_gone is not None:
            self._on_gone()

    async def _next(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        return message
