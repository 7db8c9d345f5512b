# SPDX-License-Identifier: Apache-2.0
"""uvicorn's protocol, with fewer writes and more limits: what an answer writes in one turn of the event loop is one system call.

A write to a socket wakes the reader in another process, and on small answers that costs more than making them. A part of a
stream that came from elsewhere goes out in the turn in which it came: the next one would cost another look at all sockets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

__all__ = ["ANSWER", "PASS_ON", "JoinedWritesProtocol"]

PASS_ON = "pilothouse.pass_on"  # noqa: S105 - the name of an extension, no secret
"""Extension of the scope: `JoinedWritesProtocol.pass_on`."""

ANSWER = "pilothouse.answer"
"""Extension of the scope: `JoinedWritesProtocol.answer`."""

Send = Callable[[Any], Coroutine[Any, Any, None]]

BODILESS = frozenset({204, 304})
"""Statuses whose answers have no body and say no length."""

CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What may stand in no header, but for the ends of lines."""

HEAD_BYTES_MAX = 64 << 10
"""Of a request before its body, eight times what common servers take. Without a bound the parser joins one endless header
anew with each read, so that 30 MB of it hold up everybody for seconds, and a provider that gets a long head breaks off."""

AROUND_BYTES_MAX = HEAD_BYTES_MAX
"""Of a body in chunks, read one after the other without a byte of the body: what is written about chunks, and trailers. Without a bound
one endless trailer holds up everybody like an endless header."""

UPGRADING = frozenset({b"upgrade", b"connection", b"http2-settings"})
"""Headers with which a client offers another protocol."""

HEAD_S_MAX = 30.0
"""From the beginning of a connection, or of a further request on it, to the end of a head. Without a bound a sender that says a byte now and
then holds a connection for ever, and a thousand of them are all that a process may have."""

BODY_PAUSE_S_MAX = 60.0
"""Between two parts of a body that is not read whole yet; the server's own pauses in reading do not count."""

LOOKED_AFTER_S = 15.0
"""Between two looks at a connection whose request has not come whole."""

COPIED_BYTES_MAX = 64 << 10
"""More than this is handed over in parts, because copying it costs more than the further system calls."""


class JoinedWritesProtocol(HttpToolsProtocol):
    """uvicorn's protocol over a coalescing transport, with a limit on the size of a request head."""

    _head_bytes = -1
    """Of a head that has not ended, in the reads after the one that it began in; -1 between heads."""
    _read_bytes = 0
    _around_bytes = 0
    """Read since the last byte of a body."""
    _is_declined = False
    """Whether the head that has just been read offers another protocol."""
    _began = False
    _awaits: Literal["head", "body", ""] = "head"
    """What has not come whole yet; empty between requests, where the server's own limit on idle connections counts."""
    _since_s = _heard_s = 0.0
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the loop's transport in the coalescing one."""
        super().connection_made(_JoinedWrites(transport, self.loop))
        self.parser = self._parser()
        self._since_s = self._heard_s = self.loop.time()
        self._watch = self.loop.call_later(LOOKED_AFTER_S, self._look_after)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look after the connection no more."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)

    def _look_after(self) -> None:
        """Close a connection whose request does not come; a timer for each request would cost more than looking now and then."""
        self._watch = None
        if not self._awaits or self.transport.is_closing():
            return
        now_s = self.loop.time()
        if self.flow.read_paused:
            self._heard_s = now_s
        is_late = (
            now_s - self._since_s >= HEAD_S_MAX
            if self._awaits == "head"
            else now_s - self._heard_s >= BODY_PAUSE_S_MAX
        )
        if is_late:
            self.transport.close()
        else:
            self._watch = self.loop.call_later(LOOKED_AFTER_S, self._look_after)

    def data_received(self, data: bytes) -> None:
        """Receive data; an endless request head is refused."""
        self._read_bytes = len(data)
        self._around_bytes += len(data)
        self._began = False
        super().data_received(data)
        if self._awaits == "body" and self._around_bytes > AROUND_BYTES_MAX:
            self._awaits = ""
            self.send_400_response("The trailer of the request is too large.")
        if self._awaits:
            self._heard_s = self.loop.time()
            if self._watch is None:
                self._watch = self.loop.call_later(LOOKED_AFTER_S, self._look_after)
        # The read in which a head began is not counted: what came before it there is another request's.
        if self._head_bytes >= 0 and not self._began:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._head_bytes = -1
                self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """Refuse a complete head that is too long; the parser turns the exception into a refusal."""
        self._head_bytes = -1
        self._awaits = "body"
        is_short = self._began and self._read_bytes <= HEAD_BYTES_MAX  # it began and ended in one small read
        if not is_short and sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES_MAX:
            raise ValueError("the head of the request is too large")
        if self.parser.should_upgrade() and self._get_upgrade() not in {None, b"websocket"}:
            self._is_declined = True  # the parser is about to leave the body unread
            return
        super().on_headers_complete()
        # What comes behind the body is nobody's header: it would pass what has looked at the headers before.
        self.headers = []
        self._around_bytes = 0
        if self.scope["http_version"] == "1.0":
            self.cycle.send = _without_chunks(self.cycle)  # type: ignore[method-assign, assignment]

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._around_bytes = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Offer the application the direct calls for urgent parts and whole answers."""
        super().on_message_begin()
        self._head_bytes, self._began = 0, True
        self._awaits, self._since_s = "head", self.loop.time()
        self.scope["extensions"] = {PASS_ON: self.pass_on, ANSWER: self.answer}  # type: ignore[dict-item]  # calls, not settings

    def on_message_complete(self) -> None:
        """Note that a request has come whole."""
        if self._is_declined:
            return
        self._awaits = ""
        super().on_message_complete()

    def decline(self, rest: bytes) -> bool:
        """Read a request again without its offer of another protocol, as a server may: some clients make it with every first request.

        Args:
            rest: What came behind its head.

        Returns:
            False when there is no such request: whoever asks for a WebSocket is told by the application.
        """
        if not self._is_declined:
            return False
        self._is_declined = False
        lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b" % pair for pair in self.headers if pair[0] not in UPGRADING]
        self.parser = self._parser()
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n" + rest)
        return True

    def _parser(self) -> httptools.HttpRequestParser:
        parser = _Parser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does, which says why
        return parser

    def pass_on(self, scope: Any, part: bytes) -> bool:
        """Write a part of a body immediately, together with buffered writes.

        Args:
            scope: The request that is answered; its head has been sent.
            part: At least a byte.

        Returns:
            False when nothing was written: the client takes nothing now, is gone, or the body is not in chunks.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope  # another request has come on this connection meanwhile
            or not cycle.chunked_encoding
            or cycle.disconnected
            or cycle.response_complete
            or self.flow.write_paused
        ):
            return False
        self.transport.write_now(b"%x\r\n%b\r\n" % (len(part), part))  # type: ignore[attr-defined]
        return True

    def answer(self, scope: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer: head, body and the end of it, as `send` does in two messages with a look at each header.

        Args:
            scope: The request that is answered.
            status: HTTP status.
            headers: Names in lower case; one says how long the body is.
            body: Whole.

        Returns:
            False when nothing was written, because this is no usual answer: `send` knows what to do.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope  # another request has come on this connection meanwhile
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or self.flow.write_paused
            or status in BODILESS
            or scope["method"] == "HEAD"
            or len(body) > COPIED_BYTES_MAX
        ):
            return False
        lines = [STATUS_LINE[status]]
        all_headers = [*cycle.default_headers, *headers]
        for name, value in all_headers:
            if name == b"connection":
                return False
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        head, ends = b"".join(lines), len(all_headers) + 2
        # A header with a line of its own, or with what no header may have, is for `send` to refuse.
        if head.count(b"\n") != ends or head.count(b"\r") != ends or CONTROL.search(head):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = cycle.chunked_encoding = False
        self.transport.write_now(head + body)  # type: ignore[attr-defined]
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        """Send a whole answer at once: what its handler still does afterwards is nothing that the client waits for."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()


class _Parser(httptools.HttpRequestParser):
    """The parser of a protocol that stays with HTTP/1.1 when a client offers HTTP/2."""

    def __init__(self, protocol: JoinedWritesProtocol) -> None:
        super().__init__(protocol)
        self._decline = protocol.decline

    def feed_data(self, data: Any) -> None:
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as offered:
            if not self._decline(data[offered.args[0] :]):
                raise


def _without_chunks(cycle: RequestResponseCycle) -> Send:
    """Return how a client of HTTP/1.0 is answered, which knows no chunks: where no length is said, the connection ends with the body."""
    is_sized = False

    async def send(message: Any) -> None:
        nonlocal is_sized
        if message["type"] == "http.response.start":
            is_sized = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            cycle.chunked_encoding = None if is_sized else False
        elif not is_sized:
            # Else uvicorn takes it for longer than was said.
            cycle.expected_content_length = len(message.get("body", b""))
        await plain(message)

    plain = cycle.send
    return send


class _JoinedWrites(asyncio.Transport):
    """A transport that buffers writes until the loop's next turn, and delegates everything else."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []

    def write(self, data: Any) -> None:
        if not self._kept:
            self._loop.call_soon(self.flush)
        self._kept.append(data)

    def write_now(self, data: bytes) -> None:
        """Write the buffer and this data."""
        if self._kept:
            self._kept.append(data)
            self.flush()
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write the buffer."""
        kept = self._kept
        if not kept:
            return
        self._kept = []
        if len(kept) == 1:
            self._transport.write(kept[0])
        elif sum(map(len, kept)) <= COPIED_BYTES_MAX:
            self._transport.write(b"".join(kept))
        else:
            self._transport.writelines(kept)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._kept.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()
