# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP as a plain ASGI application: read the body within limits, pass it to the intake, answer in its encoding.

It bypasses the pages' router, so that spans do not pay for a framework. The answer is an OTLP message
in the encoding of the request: an export response, or a `google.rpc.Status` with the reason.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.interfaces.http.ingest_key import source_of
from pilothouse.interfaces.http.otlp_messages import export_response, rpc_status
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal

__all__ = ["AsyncIntake", "otlp_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX = 16 << 20
"""Largest body as sent; the intake has the same bound, here it stops the reading."""

READ_S_MAX = 30.0
"""Time in which a body must arrive."""

READ_BYTES_PER_S_MIN = 10_000
"""A sender slower than this for the whole body holds memory for nothing."""

RESERVED_BYTES_MAX = 32 << 20
"""Bodies being read or taken in at once; beyond it senders are told to come again."""

ROOM_S_MAX = 1.0
"""How long a sender is kept waiting for room before its body is read. A body that is read and refused costs half of one
that is stored, and its sender sends it again; exporters wait ten seconds for an answer."""

ROOM_LOOK_S = 0.04
"""Between two looks for room: what waits keeps the tables busy for ten times as long. Each look takes the interpreter from
their thread, and four senders that looked every hundredth of a second made a stored span a quarter dearer."""

SIGNALS = {
    "/v1/traces": Signal.TRACES,
    "/v1/logs": Signal.LOGS,
    "/v1/metrics": Signal.METRICS,
}
SETTLE_PATH = "/v1/settle"
"""Ours, for commands of the same installation: fold what can be folded now."""

STATUS = {
    IntakeAnswer.ACCEPTED: 200,
    IntakeAnswer.MALFORMED: 400,
    IntakeAnswer.TOO_LARGE: 413,
    IntakeAnswer.UNSUPPORTED: 415,
    IntakeAnswer.OVER_QUOTA: 429,
    IntakeAnswer.BUSY: 503,
}
ITEMS_HEADER = b"x-pilothouse-items"
"""How many items the request had; OTLP's own answer does not say."""

RETRIED = (429, 503)
GRPC_CODE = {400: 3, 403: 7, 404: 5, 405: 12, 413: 3, 415: 3, 429: 8, 503: 14}
"""HTTP status → code of `google.rpc.Status`."""

REJECTED_FIELD = {
    Signal.TRACES: "rejectedSpans",
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
}


class AsyncIntake(Protocol):
    """An intake that does not block the event loop."""

    def submit(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Future[Receipt]:
        """Take one request; the future is done when it is durable or refused."""
        ...

    def has_room(self, source: str, coming: int) -> bool:
        """Return whether another request of a key would be accepted now, while so many bytes are being read."""
        ...

    def settle(self) -> None:
        """Close every trace whose root has ended, and commit."""
        ...


def otlp_app(intake: AsyncIntake) -> App:
    """Return the ASGI application for `/v1/traces`, `/v1/logs` and `/v1/metrics`."""
    reserved = _Reserved()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        signal = SIGNALS.get(path)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        in_json = content_type.lower().startswith("application/json")
        if signal is None and path != SETTLE_PATH:
            await _refuse(
                send, 404, f"no OTLP service at {path}; use /v1/traces, /v1/logs or /v1/metrics", in_json
            )
            return
        if scope["method"] != "POST":
            await _refuse(send, 405, f"OTLP is sent by POST, not by {scope['method']}", in_json)
            return
        if signal is None:
            if b"origin" in headers or b"sec-fetch-site" in headers:
                # A browser sends a post without a body anywhere, and a page of somebody else's could have us commit all day.
                await _refuse(send, 403, "this is asked by commands, and by no page", in_json)
                return
            await asyncio.to_thread(intake.settle)
            await _answer(send, 200, b"{}", "application/json")
            return
        stated = headers.get(b"content-length", b"")
        size = int(stated) if stated.isdigit() else None
        if size is not None and size > BODY_BYTES_MAX:
            await _drain(receive, size)
            await _refuse(
                send, 413, f"the body has {size} bytes, at most {BODY_BYTES_MAX} are taken", in_json
            )
            return
        source = source_of(
            headers.get(b"x-pilothouse-key", b"").decode("latin-1"),
            headers.get(b"authorization", b"").decode("latin-1"),
        )
        hold = _Hold(reserved)
        try:
            refusal = hold.take(size or 0)
            if refusal is None:
                await _wait_for_room(intake, source, hold)
                refusal = await _read_body(receive, hold, is_sized=size is not None)
            if refusal is not None:
                if refusal.status:
                    await _refuse(send, refusal.status, refusal.reason, in_json, closes=True)
                return
            submitted = intake.submit(
                signal,
                content_type=content_type,
                content_encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
                body=hold.body(),
                source=source,
            )
            hold.end_reading()
            receipt = await asyncio.wrap_future(submitted)
        finally:
            hold.release()
        await _tell(send, signal, receipt, in_json)

    return app


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a body was not read; status 0 when the client has gone."""

    status: int
    reason: str


class _Reserved:
    """Bytes reserved for all requests in flight, and for those whose body is being read; used by the event loop only."""

    __slots__ = ("bytes", "reading")

    def __init__(self) -> None:
        self.bytes = self.reading = 0


class _Hold:
    """The reservation of one request, and the parts of its body."""

    __slots__ = ("_all", "_reading", "parts", "size")

    def __init__(self, reserved: _Reserved) -> None:
        self._all = reserved
        self.size = self._reading = 0
        self.parts: list[bytes] = []

    def take(self, size: int) -> _Refusal | None:
        """Reserve more bytes; refuse when they do not fit. One request alone always fits."""
        if self._all.bytes > self.size and self._all.bytes + size > RESERVED_BYTES_MAX:
            return _Refusal(503, "more is being taken in than fits in memory")
        self._all.bytes += size
        self.size += size
        return None

    @property
    def others_reading(self) -> int:
        """Bytes that other requests are reading, which will wait before this one does."""
        return self._all.reading

    def begin_reading(self) -> None:
        """Mark the start of reading the body."""
        self._reading = self.size
        self._all.reading += self._reading

    def end_reading(self) -> None:
        """Mark the end of reading: the intake has the body, or will never get it."""
        self._all.reading -= self._reading
        self._reading = 0

    def release(self) -> None:
        """Release the whole reservation."""
        self.end_reading()
        self._all.bytes -= self.size
        self.size = 0

    def body(self) -> bytes:
        """Return the whole body."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


async def _wait_for_room(intake: AsyncIntake, source: str, hold: _Hold) -> None:
    """Delay reading the body while the backlog is full; if it stays full, the intake refuses the request."""
    end = time.monotonic() + ROOM_S_MAX
    while not intake.has_room(source, hold.others_reading) and time.monotonic() < end:  # noqa: ASYNC110 - another thread makes room
        await asyncio.sleep(ROOM_LOOK_S)
    hold.begin_reading()


async def _read_body(receive: Receive, hold: _Hold, *, is_sized: bool) -> _Refusal | None:
    """Read the whole body into `hold`; reserve chunk by chunk when its size was not stated.

    A sender that is too slow is told to come again: a 408 would make exporters drop the data.
    """
    try:
        async with asyncio.timeout(
            READ_S_MAX
        ):  # one for the whole body: one for each part costs more than reading it
            return await _read_parts(receive, hold, is_sized=is_sized)
    except TimeoutError:
        return _Refusal(503, f"the body did not come within {READ_S_MAX:g} s")


async def _read_parts(receive: Receive, hold: _Hold, *, is_sized: bool) -> _Refusal | None:
    size = 0
    began = time.monotonic()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return _Refusal(0, "the sender has gone")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            return _Refusal(413, f"the body has more than {BODY_BYTES_MAX} bytes")
        refusal = None if is_sized else hold.take(len(part))
        if refusal is not None:
            return refusal
        hold.parts.append(part)
        if not message.get("more_body"):
            return None
        waited = time.monotonic() - began
        if waited > 1 and size < READ_BYTES_PER_S_MIN * waited:
            return _Refusal(503, f"the body came slower than {READ_BYTES_PER_S_MIN} bytes a second")


async def _drain(receive: Receive, size: int) -> None:
    """Read and discard a refused body, so that the sender receives the answer."""
    left = min(size, 8 * BODY_BYTES_MAX)
    while left > 0:
        message = await asyncio.wait_for(receive(), READ_S_MAX)
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


async def _tell(send: Send, signal: Signal, receipt: Receipt, in_json: bool) -> None:
    status = STATUS[receipt.answer]
    if status != 200:
        retry = receipt.retry_after_s if status in RETRIED else None
        await _refuse(send, status, receipt.reason, in_json, retry_after_s=retry)
        return
    counted = [(ITEMS_HEADER, str(receipt.items).encode())]
    if in_json:
        answer: dict[str, Any] = {}
        if receipt.rejected:
            answer["partialSuccess"] = {
                REJECTED_FIELD[signal]: str(receipt.rejected),
                "errorMessage": receipt.reason,
            }
        await _answer(send, 200, json.dumps(answer).encode(), "application/json", counted)
        return
    await _answer(send, 200, export_response(receipt), "application/x-protobuf", counted)


async def _refuse(
    send: Send,
    status: int,
    reason: str,
    in_json: bool,
    *,
    retry_after_s: int | None = None,
    closes: bool = False,
) -> None:
    code = GRPC_CODE[status]
    if in_json:
        body = json.dumps({"code": code, "message": reason}).encode()
        content_type = "application/json"
    else:
        body = rpc_status(code, reason)
        content_type = "application/x-protobuf"
    if retry_after_s is None and status in RETRIED:
        retry_after_s = 1
    extra = [(b"retry-after", str(retry_after_s).encode())] if retry_after_s is not None else []
    if closes:
        extra.append((b"connection", b"close"))
    await _answer(send, status, body, content_type, extra)


async def _answer(
    send: Send, status: int, body: bytes, content_type: str, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *(extra or ()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
