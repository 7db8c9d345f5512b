# SPDX-License-Identifier: Apache-2.0
"""Send one request to a provider and hand out the raw bytes of its answer.

The provider's credential is read for each attempt from where the operator keeps it, put into the one
header that the protocol has for it, and is in nothing else: no record, trace, error or log.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import aiohttp
from yarl import URL

from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.secret_place import read_secret

__all__ = ["Upstream", "UpstreamAnswer", "UpstreamFailed", "kept_request_headers"]

CONNECTIONS_MAX = 1_000
"""Open connections to all providers; a file descriptor each, with the clients' far below the usual limit."""

CONNECT_S = 5.0
"""Until a connection stands."""

KEEP_ALIVE_S = 15.0
"""Idle connections are closed before common servers close them under a request."""

READ_BUFFER_BYTES = 256 << 10
PLAIN_BODY_BYTES_MAX = 1 << 20
"""aiohttp writes larger bodies in parts when they come as a file."""

READABLE_ENCODINGS = (b"gzip", b"deflate", b"identity")

NOT_FORWARDED = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"expect",
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"cookie",
        b"traceparent",
        b"tracestate",
        b"baggage",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
NOT_RETURNED = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"set-cookie",
        b"date",
    }
)
"""Hop by hop, and `date`, which our own server says."""

_SKIPPED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class UpstreamFailed(Exception):
    """No whole answer came.

    Attributes:
        kind: `connect`, `cut` or `credential`.
        detail: What happened, without the address's credentials.
        was_sent: Whether the provider may have begun to work on it.
    """

    def __init__(self, kind: str, detail: str, *, was_sent: bool) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.was_sent = was_sent


def kept_request_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that go to a provider: all but hop-by-hop, credentials, cookies and ours.

    Of the encodings only those stay that we can read ourselves: the model that answered must be seen.

    Args:
        headers: As received, names in lower case.
    """
    kept = []
    for name, value in headers:
        if name in NOT_FORWARDED or name.startswith(b"x-pilothouse-"):
            continue
        if name == b"accept-encoding":
            offered = [part.strip() for part in value.split(b",")]
            readable = [part for part in offered if part.partition(b";")[0] in READABLE_ENCODINGS]
            kept.append((name, b", ".join(readable) or b"identity"))
        else:
            kept.append((name, value))
    return kept


@dataclass(slots=True)
class UpstreamAnswer:
    """A provider's answer whose body is still to be read.

    Attributes:
        status: HTTP status.
        headers: Headers that go on to the client, names in lower case.
        encoding: Content encoding, or empty.
        is_events: Whether it is a stream of events.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    encoding: str
    is_events: bool
    _response: aiohttp.ClientResponse

    def header(self, name: bytes) -> bytes | None:
        """Return a header by its lower-case name."""
        return next((value for known, value in self.headers if known == name), None)

    async def read_some(self) -> bytes:
        """Return what has come, waiting for at least a byte; empty at the end.

        Raises:
            UpstreamFailed: The connection broke before the end.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed("cut", _told(error), was_sent=True) from error

    async def read_all(self, most: int) -> bytes:
        """Return the whole body.

        Args:
            most: Largest body that is taken, bytes.

        Raises:
            UpstreamFailed: The connection broke before the end, or the body is larger.
        """
        first = await self.read_some()
        if not first:
            return first
        parts, size = [first], len(first)
        while more := await self.read_some():
            parts.append(more)
            size += len(more)
            if size > most:
                raise UpstreamFailed("cut", f"the answer has more than {most:,} bytes", was_sent=True)
        return first if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the connection, which tells the provider to stop; after a whole body it is kept for the next."""
        self._response.close()


class Upstream:
    """The connections to all providers; use it in the loop that serves.

    Args:
        environment: Where credentials that are named by variable stand.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[tuple[str, str, bytes], URL] = {}

    async def open(
        self,
        provider: Provider,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> UpstreamAnswer:
        """Send a request and return once status and headers have come.

        Args:
            provider: Where to.
            method: HTTP method.
            path: From `/v1` on.
            query: Raw query.
            headers: What `kept_request_headers` left.
            body: As received.

        Raises:
            UpstreamFailed: It could not be sent, or no answer came.
        """
        sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        sent.append(self._credential(provider))
        data = body if len(body) <= PLAIN_BODY_BYTES_MAX else io.BytesIO(body)
        try:
            response = await self._connected().request(
                method,
                self._target(provider, path, query),
                headers=sent,
                data=data if body or method == "POST" else None,
                allow_redirects=False,
                skip_auto_headers=_SKIPPED,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UpstreamFailed("connect", _told(error), was_sent=False) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamFailed("cut", _told(error), was_sent=True) from error
        encoding, is_events, passed = "", False, []
        for given, value in response.raw_headers:
            name = given.lower()
            if name in NOT_RETURNED:
                continue
            if name == b"content-encoding":
                encoding = value.decode("latin-1").strip().lower()
            elif name == b"content-type":
                is_events = value.startswith(b"text/event-stream")
            passed.append((name, value))
        return UpstreamAnswer(response.status, passed, encoding, is_events, response)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_S),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=READ_BUFFER_BYTES,
            )
        return self._session

    def _target(self, provider: Provider, path: str, query: bytes) -> URL:
        key = (provider.url, path, query)
        found = self._targets.get(key)
        if found is None:
            base = provider.url.rstrip("/").removesuffix("/v1")
            asked = f"?{query.decode('latin-1')}" if query else ""
            found = URL(f"{base}{path}{asked}", encoded=True)
            if len(self._targets) > 1_000:
                self._targets.clear()
            self._targets[key] = found
        return found

    def _credential(self, provider: Provider) -> tuple[str, str]:
        name = "x-api-key" if provider.protocol is WireProtocol.ANTHROPIC else "authorization"
        secret = self._secret(provider)
        return (name, secret if name == "x-api-key" else f"Bearer {secret}")

    def _secret(self, provider: Provider) -> str:
        if provider.credential_variable is None and provider.credential_file is None:
            return "none"
        secret, place = read_secret(provider.credential_variable, provider.credential_file, self._environment)
        if not secret:
            raise UpstreamFailed(
                "credential",
                f"provider {provider.name} has no usable credential in {place} of the server",
                was_sent=False,
            )
        return secret


def _told(error: BaseException) -> str:
    """Say what happened without the address, which may hold a password."""
    reason = getattr(error, "strerror", None)
    return f"{type(error).__name__}{f': {reason}' if isinstance(reason, str) else ''}"
