# SPDX-License-Identifier: Apache-2.0
"""One agent's MCP proxy over streamable HTTP: it lives in a task of its own beside the server's requests.

No session is kept: a request carries its key, its task and its trace, so any request may be answered by a proxy that
was built anew after a change of the charter, and there is no session id that a second principal could use.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from pilothouse.runtime.tools.mcp_plain import answer_plain, may_be_plain, read_plain
from pilothouse.runtime.tools.mcp_proxy import McpProxy

__all__ = ["BODY_BYTES_MAX", "McpHttp"]

BODY_BYTES_MAX = 4 << 20
"""A request names a tool and its arguments, and those are at most a megabyte."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class McpHttp:
    """Answers MCP requests over HTTP with a proxy; begins at the first one."""

    def __init__(self, proxy: McpProxy) -> None:
        self.proxy = proxy
        self._manager = StreamableHTTPSessionManager(
            proxy.server, stateless=True, max_request_body_size=BODY_BYTES_MAX
        )
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as an ASGI application does."""
        if self._running is None:
            self._running = asyncio.create_task(self._live(), name="mcp-http")
        if may_be_plain(scope["method"], scope["headers"]):
            taken = await _taken(receive)
            body = b"".join(one.get("body", b"") for one in taken)
            call = read_plain(self.proxy, scope["headers"], body) if len(body) <= BODY_BYTES_MAX else None
            if call is not None:
                await answer_plain(self.proxy, call, receive, send)
                return
            receive = _again(taken, receive)
        await self._ready.wait()
        await self._manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """Cancel running calls and close every connection to a server."""
        self._stop.set()
        if self._running is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def _live(self) -> None:
        # The SDK's task group must end in the task that began it.
        try:
            async with self._manager.run():
                self._ready.set()
                await self._stop.wait()
        finally:
            self._ready.set()
            await self.proxy.close()


async def _taken(receive: Receive) -> list[MutableMapping[str, Any]]:
    """Return the messages of a request's body, at most as many as are needed to see that it is too large."""
    messages, size = [], 0
    while size <= BODY_BYTES_MAX:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    return messages


def _again(taken: Sequence[MutableMapping[str, Any]], receive: Receive) -> Receive:
    """Return a `receive` that replays these messages, and then continues."""
    waiting = iter(taken)

    async def receive_again() -> MutableMapping[str, Any]:
        message = next(waiting, None)
        return await receive() if message is None else message

    return receive_again
