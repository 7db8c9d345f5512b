# SPDX-License-Identifier: Apache-2.0
"""Fast path for a plain `tools/call` over HTTP; any other request is left to the SDK's server.

The SDK answers each request with tasks, streams and a connection of its own, which costs as much as the call itself.
Here stands what a valid call of the protocol without sessions needs, checked by the SDK's own rules. Every other request,
every wrong one and every one that wants progress goes to the SDK, so what is refused is refused in its words.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from mcp.server.runner import modern_error_data
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_PARAM_HEADER_PREFIX,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.methods import validate_client_request
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from pilothouse.runtime.tools.mcp_metadata import read_metadata
from pilothouse.runtime.tools.mcp_proxy import McpProxy

__all__ = ["ALIVE_EVERY_S", "PlainCall", "answer_plain", "may_be_plain", "read_plain"]

ALIVE_EVERY_S = 15.0
"""A caller hears at least this often that its call goes on, as from the SDK, so that nothing between closes the line."""

LOOKED_AFTER_S = 0.05

_METHOD = "tools/call"
_JSON, _EVENTS = "application/json", "text/event-stream"
_JSON_HEADER = (b"content-type", _JSON.encode())
_EVENT_HEADERS = [
    (b"content-type", _EVENTS.encode()),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_json = json.JSONEncoder(separators=(",", ":")).encode
_PARAM_PREFIX = MCP_PARAM_HEADER_PREFIX.lower().encode()

Headers = Iterable[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainCall:
    """A valid call.

    Attributes:
        number: Id of the request.
        version: Revision of the protocol.
        shown: Name of the tool as it is called.
        args: Arguments.
        meta: What the request says about itself.
        headers: Its headers by name in small letters.
    """

    number: str | int
    version: str
    shown: str
    args: Mapping[str, Any]
    meta: Mapping[str, Any]
    headers: Mapping[str, str]


def may_be_plain(method: str, headers: Headers) -> bool:
    """Whether a request may be a plain call, so that its body is worth reading here.

    Args:
        method: HTTP method.
        headers: Its headers, names in small letters.
    """
    said = dict(headers)
    return (
        method == "POST"
        and said.get(MCP_METHOD_HEADER.encode()) == _METHOD.encode()
        and said.get(MCP_PROTOCOL_VERSION_HEADER.encode(), b"").decode("latin-1") in MODERN_PROTOCOL_VERSIONS
        and not any(name.startswith(_PARAM_PREFIX) for name in said)
    )


def read_plain(proxy: McpProxy, headers: Headers, body: bytes) -> PlainCall | None:
    """Read a call, or return None when the SDK's server has to look at the request.

    Args:
        proxy: Knows what the arguments of a tool must be like.
        headers: Headers of the request, names in small letters.
        body: Its whole body.
    """
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    said = dict(lines)
    accepted = said.get("accept", "")
    if (
        _JSON not in accepted
        or _EVENTS not in accepted
        or not said.get("content-type", "").lower().startswith(_JSON)
        or find_duplicated_routing_header(lines) is not None
    ):
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(request, dict)
        or request.get("jsonrpc") != "2.0"
        or type(request.get("id")) not in (int, str)
    ):
        return None
    route = classify_inbound_request(request, headers=said)
    if not isinstance(route, InboundModernRoute):
        return None
    params = request["params"]
    try:
        validate_client_request(_METHOD, route.protocol_version, params)
    except ValidationError:
        return None
    # Progress makes the answer a stream; a header made of an argument is held against it by the SDK.
    if "progressToken" in params["_meta"] or proxy.has_headers(params["name"]):
        return None
    return PlainCall(
        number=request["id"],
        version=route.protocol_version,
        shown=params["name"],
        args=params.get("arguments") or {},
        meta=params["_meta"],
        headers=said,
    )


async def answer_plain(proxy: McpProxy, call: PlainCall, receive: Receive, send: Send) -> None:
    """Make a call and answer it; when the caller disconnects, the call is cancelled.

    Args:
        proxy: Decides and calls.
        call: The call.
        receive: Tells when the caller has gone.
        send: Takes the answer.
    """
    line = _Line(receive, send)
    try:
        text = await _answered(proxy, call)
    except asyncio.CancelledError:
        if line.is_left():
            return
        raise
    finally:
        await line.stop_waiting()
    await line.say(text)


class _Line:
    """The line to a caller whose call is being made in this task."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._is_open = self._has_left = False
        self._waiting: asyncio.Task[None] | None = None
        # Most calls are over by then, and nobody needs to look after them.
        self._later = asyncio.get_running_loop().call_later(LOOKED_AFTER_S, self._look_after)

    def _look_after(self) -> None:
        self._waiting = asyncio.create_task(self._wait(), name="mcp-caller")

    async def _wait(self) -> None:
        """Tell the caller now and then that its call goes on; when it has gone, so has the call."""
        leaving = asyncio.ensure_future(_left(self._receive))
        try:
            while not (await asyncio.wait((leaving,), timeout=ALIVE_EVERY_S))[0]:
                if not self._is_open:
                    self._is_open = True
                    await self._send(
                        {"type": "http.response.start", "status": 200, "headers": _EVENT_HEADERS}
                    )
                await self._send({"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True})
        finally:
            leaving.cancel()
        if self._task is not None:
            self._has_left = self._task.cancel()

    def is_left(self) -> bool:
        """Whether the task was cancelled only because its caller disconnected."""
        return self._has_left and self._task is not None and self._task.uncancel() == 0

    async def stop_waiting(self) -> None:
        """Look after the call no more."""
        self._later.cancel()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._waiting

    async def say(self, text: bytes) -> None:
        """Send the answer."""
        if self._is_open:
            text = b"event: message\r\ndata: " + text + b"\r\n\r\n"
        else:
            length = (b"content-length", str(len(text)).encode())
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": [_JSON_HEADER, length]}
            )
        await self._send({"type": "http.response.body", "body": text})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answered(proxy: McpProxy, call: PlainCall) -> bytes:
    """Return the JSON-RPC answer to a call."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call.number}
    try:
        result = await proxy.called(call.shown, call.args, read_metadata(call.meta, call.headers))
        answer["result"] = _complete(proxy, result)
    except Exception as failed:  # noqa: BLE001 - whatever goes wrong here, the caller is answered and told nothing of it
        error = modern_error_data(failed)
        answer["error"] = error.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _json(answer).encode()


def _complete(proxy: McpProxy, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with what the protocol wants in each, where the server behind us has not said it."""
    meta = result.get("_meta") or {}
    if meta.get(SERVER_INFO_META_KEY) is None:
        meta = {**meta, SERVER_INFO_META_KEY: proxy.server.server_info_stamp}
    return {"resultType": "complete", "isError": False, **result, "_meta": meta}
