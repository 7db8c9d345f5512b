# SPDX-License-Identifier: Apache-2.0
"""Send one request to a provider and hand out the raw bytes of its answer.

The provider's credential is read for each attempt from where the operator keeps it, put into the one
header that the protocol has for it, and is in nothing else: no record, trace, error or log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from pilothouse.ports.gateway import Provider, WireProtocol
from pilothouse.runtime.gateway.connection import Connection, ConnectionBroken
from pilothouse.runtime.gateway.connections import ConnectionPool, Target, target_of
from pilothouse.runtime.secret_source import read_secret

__all__ = ["Upstream", "UpstreamAnswer", "UpstreamFailed", "kept_request_headers"]

PLACES_MAX = 1_000
"""Paths at providers whose first lines are remembered; those with an id of an answer in them are all different."""

SECRET_BYTES_MIN = 8
"""A shorter credential is a word that servers without any ask for, and may stand in every error."""

PLACE_CHARACTERS_MAX = 200
"""Of the address that a redirect names, in the sentence about it."""

HIDDEN = b"[credential]"
"""What stands where an error answer says the credential that it was asked with."""

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
"""Hop by hop, and `date`, which our own server says; also not returned is what another gateway says of its own call."""


class UpstreamFailed(Exception):
    """No whole answer came.

    Attributes:
        kind: `connect`, `cut`, `credential` or `redirect`.
        detail: What happened, without the address's credentials.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


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


class UpstreamAnswer:
    """A provider's answer whose body is still to be read.

    Attributes:
        status: HTTP status.
        headers: Headers that go on to the client, names in lower case.
        encoding: Content encoding, or empty.
        is_events: Whether it is a stream of events.
    """

    __slots__ = ("_connection", "_pool", "_secret", "_target", "encoding", "headers", "is_events", "status")

    def __init__(self, connection: Connection, pool: ConnectionPool, target: Target, secret: bytes) -> None:
        """Take over a connection whose answer has begun, asked with a credential; it goes back to `pool`."""
        self._secret = secret
        self._connection: Connection | None = connection
        self._pool = pool
        self._target = target
        self.status = connection.status
        self.encoding = ""
        self.is_events = False
        self.headers: list[tuple[bytes, bytes]] = []
        for name, value in connection.headers:
            if name in NOT_RETURNED or name.startswith(b"x-pilothouse-"):
                continue
            if name == b"content-encoding":
                self.encoding = value.decode("latin-1").strip().lower()
            elif name == b"content-type":
                self.is_events = value.lower().startswith(b"text/event-stream")
            self.headers.append((name, value))

    async def read_some(self) -> bytes:
        """Return what has come, waiting for at least a byte; empty at the end.

        Raises:
            UpstreamFailed: The connection broke before the end.
        """
        if self._connection is None:
            return b""
        try:
            some = await self._connection.read_some()
        except ConnectionBroken as broken:
            self.close()
            raise UpstreamFailed("cut", str(broken)) from broken
        if not some:
            self.close()
        return some

    async def pass_all(self, take: Callable[[bytes], bool]) -> bool:
        """Hand on what comes as soon as it has come; see `Connection.pass_all`.

        Raises:
            UpstreamFailed: The connection broke before the end.
        """
        if self._connection is None:
            return True
        try:
            return await self._connection.pass_all(take)
        except ConnectionBroken as broken:
            self.close()
            raise UpstreamFailed("cut", str(broken)) from broken

    async def read_all(self, most: int) -> bytes:
        """Return the whole body.

        Args:
            most: Largest body that is taken, bytes.

        Raises:
            UpstreamFailed: The connection broke before the end, or the body is larger.
        """
        parts, size = [], 0
        while more := await self.read_some():
            parts.append(more)
            size += len(more)
            if size > most:
                self.close()
                raise UpstreamFailed("cut", f"the answer has more than {most:,} bytes")
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        # Some servers tell whose key they refuse by saying the key.
        if self.status < HTTPStatus.BAD_REQUEST or len(self._secret) < SECRET_BYTES_MIN:
            return body
        return body.replace(self._secret, HIDDEN)

    def close(self) -> None:
        """Close the connection, which tells the provider to stop; after a whole body it is kept for the next."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._target, connection)


@dataclass(frozen=True, slots=True)
class _Place:
    """A path at a provider: where to connect, and how each request to it begins."""

    target: Target
    beginning: bytes


class Upstream:
    """The connections to all providers; use it in the loop that serves.

    Args:
        environment: Where credentials that are named by variable stand.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._pool = ConnectionPool()
        self._places: dict[tuple[str, str, str, bytes], _Place] = {}

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
        secret = self._secret(provider)
        is_key = provider.protocol is WireProtocol.ANTHROPIC
        credential = (b"x-api-key: " if is_key else b"authorization: Bearer ") + secret
        try:
            place = self._place(method, provider.url, path, query)
            connection = await self._pool.take(place.target)
        except (OSError, ValueError) as error:
            raise UpstreamFailed("connect", _told(error)) from error
        try:
            connection.send(_head(place.beginning, credential, headers, method, body), body)
            await connection.answered()
        except ConnectionBroken as broken:
            self._pool.give_back(place.target, connection)
            raise UpstreamFailed("cut", str(broken)) from broken
        except BaseException:
            connection.abort()
            self._pool.give_back(place.target, connection)
            raise
        if HTTPStatus.MULTIPLE_CHOICES <= connection.status < HTTPStatus.BAD_REQUEST:
            connection.abort()
            self._pool.give_back(place.target, connection)
            raise UpstreamFailed("redirect", _redirected(connection))
        return UpstreamAnswer(connection, self._pool, place.target, secret)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _place(self, method: str, url: str, path: str, query: bytes) -> _Place:
        key = (method, url, path, query)
        found = self._places.get(key)
        if found is None:
            found = _find(method, url, path, query)
            if len(self._places) > PLACES_MAX:
                self._places.clear()
            self._places[key] = found
        return found

    def _secret(self, provider: Provider) -> bytes:
        """Return the credential of a provider, which stands in one header and nowhere else."""
        if provider.credential_variable is None and provider.credential_file is None:
            return b"none"
        secret, place = read_secret(provider.credential_variable, provider.credential_file, self._environment)
        if not secret:
            raise UpstreamFailed(
                "credential",
                f"provider {provider.name} has no usable credential in {place} of the server"
                + (" (start it where that is set)" if provider.credential_variable else ""),
            )
        return secret.encode()


def _find(method: str, url: str, path: str, query: bytes) -> _Place:
    """Take an address apart.

    Raises:
        ValueError: It is none.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError("the address of the provider is no http(s) address")
    target, named = target_of(parts)
    asked = parts.path.rstrip("/").removesuffix("/v1") + path
    beginning = b"".join(
        (
            f"{method} {asked}".encode(),
            b"?" + query if query else b"",
            f" HTTP/1.1\r\nhost: {named}\r\n".encode(),
        )
    )
    return _Place(target, beginning)


def _head(
    beginning: bytes, credential: bytes, headers: list[tuple[bytes, bytes]], method: str, body: bytes
) -> bytes:
    lines = [beginning, credential, b"\r\n"]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if body or method == "POST":
        lines.append(b"content-length: %d\r\n" % len(body))
    lines.append(b"\r\n")
    return b"".join(lines)


def _redirected(connection: Connection) -> str:
    """Say where a provider sends whoever asks: nobody goes there, for clients that did would pass pins, budgets and record."""
    given = dict(connection.headers).get(b"location", b"").decode("latin-1")
    place = given.partition("?")[0].rpartition("@")[2][:PLACE_CHARACTERS_MAX]
    to = f" to {place}" if place and place.isprintable() else ""
    return f"it sends elsewhere (status {connection.status}{to}), which is not followed; the address of the provider must be the last one"


def _told(error: BaseException) -> str:
    """Say what happened without the address, which may hold a password."""
    reason = getattr(error, "strerror", None)
    return f"{type(error).__name__}{f': {reason}' if isinstance(reason, str) else ''}"
