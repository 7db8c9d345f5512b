# SPDX-License-Identifier: Apache-2.0
"""HTTP transport for the MCP SDK's client over aiohttp: less than half the CPU of the client's own.

No redirect is followed, no cookie kept, and no proxy taken from the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx2

__all__ = ["CONNECTIONS_MAX", "Wire"]

CONNECTIONS_MAX = 256
"""To one server: the tools behind it have fewer slots together."""

CONNECT_S = 30.0
READ_S = 300.0
"""As the SDK's own client has them: a server may hold a stream open."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)


class Wire(httpx2.AsyncBaseTransport):
    """Connections to one server; opened at the first request, in the loop that makes it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; its answer is read while it comes."""
        with _in_its_words(request):
            answer = await self._connections().request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                data=await request.aread(),
                allow_redirects=False,
            )
        return httpx2.Response(
            answer.status, headers=list(answer.raw_headers), stream=_Body(answer, request), request=request
        )

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_TIMEOUT,
                auto_decompress=False,
            )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()


class _Body(httpx2.AsyncByteStream):
    """The streamed body of an answer, for the SDK's client."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_its_words(self._request):
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()  # the server is told that nobody reads on


@contextmanager
def _in_its_words(request: httpx2.Request) -> Iterator[None]:
    """Translate failures to those of the SDK's client."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise httpx2.ConnectError(str(error), request=request) from error
    except TimeoutError as error:
        raise httpx2.ReadTimeout("no answer in time", request=request) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx2.ReadError(type(error).__name__, request=request) from error
