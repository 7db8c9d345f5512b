# SPDX-License-Identifier: Apache-2.0
"""One HTTP/1.1 connection to a provider: a request goes out, its answer comes in, one after the other.

The parser is httptools, as in the server; what stands here is only what belongs to a proxy: bytes are handed on as they
came, a reader that is slower than the provider stops it, and it is always known whether an answer has come to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

__all__ = ["Connection", "ConnectionBroken"]

BUFFERED_BYTES_MAX = 256 << 10
"""Of an answer that nobody takes; then the provider is not read any more."""

HEAD_BYTES_MAX = 64 << 10
"""Of an answer before its body; eight times what common servers send at most."""

JOINED_BYTES_MAX = 64 << 10
"""A shorter body goes out in one write with its head: a copy of it costs less than a second system call."""

Headers = list[tuple[bytes, bytes]]


class ConnectionBroken(Exception):
    """The answer did not come to its end."""


class Connection(asyncio.Protocol):
    """A connection, of which one call at a time has the use.

    Attributes:
        status: HTTP status of the answer.
        headers: Headers of the answer, names in lower case.
    """

    __slots__ = (
        "_broken",
        "_buffered",
        "_has_head",
        "_head_bytes",
        "_is_framed",
        "_is_full",
        "_is_paused",
        "_is_whole",
        "_keeps",
        "_parser",
        "_parts",
        "_take",
        "_transport",
        "_waiter",
        "headers",
        "status",
    )

    def __init__(self) -> None:
        """Begin unconnected."""
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._take: Callable[[bytes], bool] | None = None
        self._is_full = False
        self._broken = ""
        self._is_whole = True
        self._is_paused = False
        self._keeps = True
        self._has_head = self._is_framed = False
        self._head_bytes = self._buffered = 0
        self.status = 0
        self.headers: Headers = []

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request; the connection must be free.

        Args:
            head: Request line and headers with the empty line behind them.
            body: The body, of the length that the head says.
        """
        self._begin()
        self._is_whole = False
        if self._transport is None:
            return  # broken in the meantime: `answered` says so
        if len(body) <= JOINED_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def answered(self) -> None:
        """Wait for status and headers.

        Raises:
            ConnectionBroken: They did not come.
        """
        while not self._has_head:
            if self._broken:
                raise ConnectionBroken(self._broken)
            await self._wait()

    async def read_some(self) -> bytes:
        """Return what has come of the body, waiting for at least a byte; empty at the end.

        Raises:
            ConnectionBroken: The end did not come.
        """
        while not self._parts:
            if self._is_whole:
                return b""
            if self._broken:
                raise ConnectionBroken(self._broken)
            await self._wait()
        return self._taken()

    async def pass_all(self, take: Callable[[bytes], bool]) -> bool:
        """Hand on what comes of the body within the turn of the loop that read it: no task is woken for a part.

        Args:
            take: Gets what came in one read; returns whether it takes more. It must not raise.

        Returns:
            Whether the end has come; what came with it is left for `read_some`. Else `take` has had enough, and what comes
            meanwhile is kept for the next call.

        Raises:
            ConnectionBroken: The end did not come.
        """
        while not self._is_whole:
            if self._parts:
                if not take(self._taken()):
                    return False
            elif self._broken:
                raise ConnectionBroken(self._broken)
            else:
                self._take, self._is_full = take, False
                try:
                    await self._wait()
                finally:
                    self._take = None
                if self._is_full:
                    return False
        return True

    @property
    def is_free(self) -> bool:
        """Whether another request may be sent: the last answer was whole, the provider keeps the connection, all is sent."""
        return (
            self._is_whole
            and self._keeps
            and self._transport is not None
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )

    def abort(self) -> None:
        """Close at once, which tells the provider to stop."""
        if self._transport is not None:
            self._transport.abort()

    # What the loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is no subclass, and is one all the same

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._parser is None or self._is_whole:
            self._fail("it spoke without being asked")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"its answer is no HTTP/1.1: {type(error).__name__}")
        if not self._has_head:
            self._count_head(len(data))
        parts = self._parts
        if not parts:
            return
        if self._take is None or self._is_whole:
            self._keep(len(data))
        else:
            some = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            if not self._take(some):
                self._take, self._is_full = None, True
                self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = self._parser = None
        if self._has_head and not self._is_framed and exc is None:
            self._is_whole = True  # the end of the connection is the end of such a body
        elif not self._is_whole and not self._broken:
            reason = getattr(exc, "strerror", None) or "closed by the provider"
            self._broken = reason if exc is None else f"{type(exc).__name__}: {reason}"
        self._wake()

    # What the parser says.

    def on_message_begin(self) -> None:
        """See that only one answer comes: another was not asked for, and must not be taken for the next one."""
        if self._has_head:
            self._keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; behind the body they are of no use to anybody."""
        if self._has_head:
            return
        self._count_head(len(name) + len(value))
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._is_framed = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status; one below 200 only announces the answer."""
        if self._parser is None or self._has_head or self._broken:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self.headers, self._is_framed = [], False
            return
        self.status = status
        self._keeps = self._parser.should_keep_alive()
        self._has_head = True
        self._wake()

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        if not self._is_whole:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        """Note the end."""
        if self._has_head:
            self._is_whole = True
            self._wake()

    def _count_head(self, size: int) -> None:
        """Bound the head: bytes as they come, which may be one endless line, and lines as they are read."""
        self._head_bytes += size
        if self._head_bytes > 2 * HEAD_BYTES_MAX:  # most bytes are counted both times
            self._fail(f"the headers of its answer have more than {HEAD_BYTES_MAX:,} bytes")

    def _keep(self, size: int) -> None:
        """Keep what has come until somebody reads it; when that is too much, the provider must wait."""
        self._buffered += size
        if self._buffered > BUFFERED_BYTES_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def _taken(self) -> bytes:
        parts = self._parts
        some = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._buffered = 0
        if self._is_paused:
            self._is_paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return some

    def _begin(self) -> None:
        if self._parts:  # what nobody read of an answer that had come whole is no part of the next one
            self._taken()
        self.status, self.headers = 0, []
        self._has_head = self._is_framed = False
        self._head_bytes = self._buffered = 0

    def _fail(self, why: str) -> None:
        self._keeps = False
        if not self._is_whole:
            self._broken = why
        self.abort()
        self._wake()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
