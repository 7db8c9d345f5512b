# SPDX-License-Identifier: Apache-2.0
"""A `tools/call` of the sessionless protocol, sent as a single request.

Since 2026-07-28 a call over HTTP is a request that says everything about itself and one answer. The SDK's client takes
it through streams, tasks and three models, which costs more than the call; it still connects, lists, and makes every
call that is more than this: with a session, with progress, with headers made of arguments. The connections are those of
the gateway to its providers, a third of the CPU of a general client's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    encode_header_value,
)
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    HEADER_MISMATCH,
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    Implementation,
)
from mcp_types.methods import serialize_server_result

from pilothouse import __version__
from pilothouse.runtime.gateway.connection import Connection, ConnectionBroken
from pilothouse.runtime.gateway.connections import ConnectionPool, Target, target_of

__all__ = ["ANSWER_BYTES_MAX", "CLIENT", "REFUSED", "AnswerRefused", "StatelessCalls"]

ANSWER_BYTES_MAX = 130 << 20
"""Twice the largest result that a contract may allow, which an answer holds as text and as data; a larger one is not read
to its end."""

CLIENT = Implementation(name="pilothouse", version=__version__)
"""Who we say that we are, in these requests and in the SDK's."""

REFUSED = frozenset({401, 403})

_ABOUT_THE_SERVER = REFUSED | {408, 425, 429}
"""What a status below 500 says beside what the protocol can say: who asks, and how often."""

_CLIENT = CLIENT.model_dump(by_alias=True, mode="json", exclude_none=True)
_METHOD = "tools/call"
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_IN_PATHS = "/%:=&?~+!$,;'@()*[]"
"""What stands in a path or query as it is; `%` because the address may be quoted already."""


class AnswerRefused(Exception):
    """The server refused with an HTTP status.

    Attributes:
        status: The status.
        headers: Headers of the answer, names in small letters.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers


class StatelessCalls:
    """Calls the tools of one server; for one event loop.

    Args:
        url: Its address.
        headers: Returns the headers of the next request, credentials and all.
        on_refused: Told when the server does not accept them.
    """

    def __init__(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        on_refused: Callable[[], None],
    ) -> None:
        self._url = url
        self._target, self._beginning = _place(url)
        self._pool = ConnectionPool()
        self._headers = headers
        self._on_refused = on_refused
        self._numbers = count(1)

    async def call(self, version: str, tool: str, args: Mapping[str, Any]) -> dict[str, Any] | None:
        """Call a tool; cancellation closes the request, which tells the server.

        Args:
            version: Revision of the protocol that the server speaks, one without sessions.
            tool: Name on the server.
            args: Arguments.

        Returns:
            The result as the revision has it, or None when nothing was done and the SDK's client knows what to do: follow
            a redirect, or read the list of tools again.

        Raises:
            MCPError: The server answers with an error, or with something that is no answer.
            pydantic.ValidationError: The result is none of this revision.
            AnswerRefused: It answers with an HTTP error.
            OSError: It cannot be reached, or its answer did not come to its end.
        """
        number = next(self._numbers)
        meta = {
            PROTOCOL_VERSION_META_KEY: version,
            CLIENT_INFO_META_KEY: _CLIENT,
            CLIENT_CAPABILITIES_META_KEY: {},
        }
        params = {"name": tool, "arguments": args, "_meta": meta}
        request = {"jsonrpc": "2.0", "id": number, "method": _METHOD, "params": params}
        said = await self._answer(
            _json(request).encode(),
            {
                "accept": "application/json, text/event-stream",
                "accept-encoding": "identity",
                "content-type": "application/json",
                "user-agent": f"{CLIENT.name}/{CLIENT.version}",
                MCP_PROTOCOL_VERSION_HEADER: version,
                MCP_METHOD_HEADER: _METHOD,
                MCP_NAME_HEADER: encode_header_value(tool),
                **self._headers(),
            },
        )
        if said is None:
            return None
        error, result = said.get("error"), said.get("result")
        if isinstance(error, dict):
            if error.get("code") == HEADER_MISMATCH:
                return None
            raise MCPError(_code(error), str(error.get("message")), error.get("data"))
        if said.get("id") != number or not isinstance(result, dict):
            raise MCPError(INVALID_REQUEST, "the answer belongs to no request")
        shaped = serialize_server_result(_METHOD, version, result)
        if "content" not in shaped:  # what is no result may still be taken for a question to the caller
            raise MCPError(INVALID_REQUEST, "the server wants to be told more, and nobody here can")
        return shaped

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """Send a request and read the JSON-RPC answer, or None for a redirect."""
        head = _head(self._beginning, headers, len(body))
        connection = await self._pool.take(self._target)
        try:
            connection.send(head, body)
            await connection.answered()
            return await self._said(connection)
        except ConnectionBroken as broken:
            raise ConnectionResetError(str(broken)) from broken
        finally:
            # An answer that was not read to its end closes the connection, which tells the server.
            self._pool.give_back(self._target, connection)

    async def _said(self, connection: Connection) -> dict[str, Any] | None:
        status = connection.status
        if status in REFUSED:
            self._on_refused()
        if 300 <= status < 400:
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in connection.headers}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream" and status < 400:
            return await _from_events(connection, self._url)
        said = _parsed(await _read(connection)) if kind == "application/json" else None
        if status >= 500 or status in _ABOUT_THE_SERVER:
            raise AnswerRefused(status, headers)
        if said is None or (status >= 400 and "error" not in said):
            raise MCPError(PARSE_ERROR, "the answer is no JSON-RPC message")
        return said


def _place(url: str) -> tuple[Target, bytes]:
    """Parse an address: where to connect, and the fixed beginning of each request."""
    parts = urlsplit(url)
    target, named = target_of(parts)
    asked = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_IN_PATHS)
    return target, f"POST {asked} HTTP/1.1\r\nhost: {named}\r\n".encode()


def _head(beginning: bytes, headers: Mapping[str, str], length: int) -> bytes:
    """Return a request before its body.

    Raises:
        ValueError: A header holds the end of a line, so that what follows would be one of its own.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header of the request holds the end of a line")
    return b"%scontent-length: %d\r\n%s\r\n" % (beginning, length, lines.encode())


async def _read(connection: Connection) -> bytes:
    body = bytearray()
    while part := await connection.read_some():
        body += part
        if len(body) > ANSWER_BYTES_MAX:
            raise MCPError(INVALID_REQUEST, f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


class _Body(httpx2.AsyncByteStream):
    """A body as the SDK's reader of events takes one, while it comes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await self._connection.read_some():
            yield part


async def _from_events(connection: Connection, url: str) -> dict[str, Any] | None:
    """Return the first event that is an answer; other messages of the server are ignored."""
    response = httpx2.Response(
        connection.status,
        headers=connection.headers,
        stream=_Body(connection),
        request=httpx2.Request("POST", url),
    )
    try:
        async for event in httpx2.EventSource(response, max_event_size=ANSWER_BYTES_MAX):
            said = _parsed(event.data.encode()) if event.data else None
            if said is not None and ("result" in said or "error" in said):
                return said
    except httpx2.SSEError as wrong:
        raise MCPError(PARSE_ERROR, f"the answer is no stream of events: {wrong}") from wrong
    raise MCPError(INVALID_REQUEST, "the answer ended before there was one")


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _code(error: Mapping[str, Any]) -> int:
    code = error.get("code")
    return code if isinstance(code, int) else INVALID_REQUEST
