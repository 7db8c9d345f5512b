# SPDX-License-Identifier: Apache-2.0
"""A stream of events on its way to the client: held until its first content, then passed on as it is read.

Once content has begun, what came from the provider goes to the client within the same turn of the loop. Of its events only
the boundaries are looked at; usage is read from the record when the stream is over.
"""

from __future__ import annotations

import time

from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.caller import Caller
from pilothouse.runtime.gateway.event_reader import EventReader
from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import EventCutter, event_data
from pilothouse.runtime.gateway.upstream import UpstreamAnswer, UpstreamFailed
from pilothouse.runtime.gateway.usage_edit import UsageCutter
from pilothouse.runtime.gateway.watchdog import Stop, Watchdog
from pilothouse.runtime.gateway.wire import Answer, Stage, inflate, read_event

__all__ = ["Passage"]

HELD_BYTES_MAX = 256 << 10
"""Most bytes of events before the first content, what was asked not counted; a stream with more is passed on."""

SPELT_BYTES_MAX = 3
"""Bytes of an answer for a byte of a request that it says once more: providers may write letters by their numbers."""

ECHOES_MAX = 2
"""Events before the content that say all instructions and tools once more: a response that is created, and in progress."""

CAPTURED_BYTES_MAX = 32 << 20
"""Most bytes of a stream that are kept for the record; more pass and are counted."""

LOOKS_MAX = 4
"""Events from the end on in which a usage is looked for: behind the one that counts some servers say `null`, or a part of it of their own."""

CHUNKS_MAX = 65_536
"""Pieces of a stream whose sizes and times are kept, 10 MB of them: twenty minutes at fifty a second. What comes later counts to
the last one, so that the sizes still add up to the body."""


class Passage:
    """The way of one stream.

    Attributes:
        said: What the events before the content say about the answer.
        held: The events before the content.
        has_failed: Whether its provider ended it with an error; known once it is finished.

    Args:
        call: The call, filled on the way.
        caller: The client.
        dog: Guards the task.
        answer: Of the provider; its body is still to be read.
        began: When the attempt began, on the monotonic clock; chunks are timed from there.
    """

    def __init__(
        self, call: Call, caller: Caller, dog: Watchdog, answer: UpstreamAnswer, *, began: float
    ) -> None:
        self.said = Answer()
        self.held = bytearray()
        self.has_failed = False
        self._call = call
        self._caller = caller
        self._pass_on = caller.pass_on
        self._dog = dog
        self._answer = answer
        self._began = began
        self._idle_s = call.policy.limits.idle_s
        self._echo = SPELT_BYTES_MAX * len(call.asked)
        self._cutter = self._cutter_of(answer.encoding)
        self._captured: list[bytes] = []
        self._captured_bytes = 0
        self._unsent = b""

    def _cutter_of(self, encoding: str) -> EventCutter | None:
        """Return what finds whole events; None for an encoded stream, in which none can be told."""
        is_plain = encoding in {"", "identity"}
        if not self._call.adds_usage:
            return EventCutter(self._echo) if is_plain else None
        self._call.is_usage_left = not is_plain
        return UsageCutter(self.said, self._echo) if is_plain else None

    async def open(self) -> tuple[bytes, bool]:
        """Read up to the first content.

        Returns:
            The events so far, and whether the last one is an error.

        Raises:
            UpstreamFailed: The stream broke off or ended before it began.
        """
        held = self.held
        reader = EventReader(self._answer.encoding, self._echo)
        most = HELD_BYTES_MAX + ECHOES_MAX * self._echo
        while chunk := await self._answer.read_some():
            if self._call.is_stream:
                self._dog.hear()  # a model that thinks says now and then that it does; asked again, it would be paid twice
            ready = self._whole_events(chunk)
            held += ready
            stage = reader.stage(ready, self._call.route.operation, self.said)
            if stage != Stage.BEFORE or len(held) > most:
                return bytes(held), stage == Stage.ERROR
        held += self._tail()
        if not held:
            raise UpstreamFailed("cut", "the stream ended before it began")
        return bytes(held), False

    async def run(self, held: bytes) -> None:
        """Pass everything on.

        Args:
            held: What `open` returned.

        Raises:
            UpstreamFailed: The stream broke off.
        """
        self._capture(held)
        self._unsent = held
        await self._send()
        while not await self._answer.pass_all(self._take):
            await self._send()
        last = await self._answer.read_some()
        last = (self._whole_events(last) if last else b"") + self._tail()
        self._capture(last)
        self._dog.limit(Stop.CLIENT_SLOW, self._call.policy.limits.client_s)
        await self._caller.send(last, more=False)

    def finish(self) -> None:
        """Keep what was passed on, and read the usage, which stands in one of the last events."""
        call, said = self._call, self.said
        call.response = b"".join(self._captured)
        if isinstance(self._cutter, UsageCutter):
            call.chunks = _without_last(call.chunks, self._cutter.taken)
        plain = inflate(call.response, self._answer.encoding)
        if plain is not None:
            _read_end(plain, call.route.operation, said)
        self.has_failed = plain is not None and _ends_in_error(plain, call.route.operation)
        call.usage, call.begun = said.usage or call.usage, said.begun
        call.has_fees, call.is_absurd = said.has_fees, said.is_absurd
        if call.is_absurd:
            call.usage = None  # what was counted earlier is not the whole
        call.tier = call.tier if said.tier is None else said.tier
        call.answer_id, call.answer_state = call.answer_id or said.ident, said.state

    def _take(self, part: bytes) -> bool:
        """Pass on what has just come; False when the client takes nothing now."""
        ready = self._whole_events(part)
        if not ready:
            return True
        self._capture(ready)
        if self._pass_on(ready):
            self._dog.hear()
            return True
        self._unsent = ready
        return False

    async def _send(self) -> None:
        """Send what could not be passed on at once, as soon as the client takes it."""
        self._dog.limit(Stop.CLIENT_SLOW, self._call.policy.limits.client_s)
        await self._caller.send(self._unsent, more=True)
        self._dog.limit(Stop.IDLE, self._idle_s)

    def _whole_events(self, chunk: bytes) -> bytes:
        chunks = self._call.chunks
        if len(chunks) < CHUNKS_MAX:
            chunks.append((len(chunk), int((time.monotonic() - self._began) * 1e6)))
        else:
            size, at_us = chunks[-1]
            chunks[-1] = (size + len(chunk), at_us)
        return chunk if self._cutter is None else self._cutter.feed(chunk)

    def _tail(self) -> bytes:
        return b"" if self._cutter is None else self._cutter.rest()

    def _capture(self, part: bytes) -> None:
        self._captured_bytes += len(part)
        if self._captured_bytes <= CAPTURED_BYTES_MAX:
            self._captured.append(part)


def _without_last(chunks: list[tuple[int, int]], taken: int) -> list[tuple[int, int]]:
    """Return the pieces of a stream without bytes that were taken out near its end, so that they still add up to the body."""
    kept = list(chunks)
    while taken > 0 and kept:
        size, at_us = kept.pop()
        if size > taken:
            kept.append((size - taken, at_us))
        taken -= size
    return kept


def _read_end(events: bytes, operation: Operation, said: Answer) -> None:
    """Note what the events from the last `"usage"` on say, and the usage of an earlier one where it stands there without a count."""
    look, end = said, len(events)
    for _ in range(LOOKS_MAX):
        at = events.rfind(b'"usage"', 0, end)
        if at < 0:
            return
        begin = max(events.rfind(b"\n\n", 0, at), events.rfind(b"\r\n\r\n", 0, at), 0)
        for data in event_data(events[begin:end]):
            read_event(data, operation, look)
        if look.usage is not None or look.is_absurd:
            break
        look, end = Answer(begun=said.begun), begin
    said.usage, said.is_absurd = look.usage, look.is_absurd
    said.has_fees = said.has_fees or look.has_fees


def _ends_in_error(events: bytes, operation: Operation) -> bool:
    """Whether the last event of a stream is an error; the mark behind the last one does not count."""
    end = len(events)
    while (at := events.rfind(b"\ndata:", 0, end)) >= 0:
        data = events[at + 6 : end].partition(b"\n")[0].strip()
        if data != b"[DONE]":
            is_suspect = b"error" in data or b"response.failed" in data
            return is_suspect and read_event(data, operation, Answer()) == Stage.ERROR
        end = at
    return False
