# SPDX-License-Identifier: Apache-2.0
"""A connection to an MCP server over HTTP whose headers, credentials included, are made for each request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from pilothouse.runtime.tools.mcp_stateless import REFUSED
from pilothouse.runtime.tools.mcp_wire import Wire

__all__ = ["signed_in"]


class _SignIn(httpx2.Auth):
    def __init__(self, headers: Callable[[], Mapping[str, str]], on_refused: Callable[[], None]) -> None:
        self._headers = headers
        self._on_refused = on_refused

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        request.headers.update(self._headers())
        response = yield request
        if response.status_code in REFUSED:
            self._on_refused()


@asynccontextmanager
async def signed_in(
    url: str, wire: Wire, headers: Callable[[], Mapping[str, str]], on_refused: Callable[[], None]
) -> AsyncIterator[Any]:
    """Connect to a server; give what the SDK's client talks through.

    Args:
        url: Its address.
        wire: Connections to it; closed at the end.
        headers: Returns the headers of the next request.
        on_refused: Told when the server does not accept them.
    """
    auth = _SignIn(headers, on_refused)
    async with (
        httpx2.AsyncClient(auth=auth, transport=wire, trust_env=False) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams
