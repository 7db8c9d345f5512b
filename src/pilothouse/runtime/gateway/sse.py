# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream of server-sent events at event boundaries without changing a byte of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs

from pilothouse.runtime.loose_json import object_or_empty

__all__ = ["BOUNDARY", "TAIL_BYTES_MAX", "EventCutter", "cut_after", "event_data", "goes_on_after"]

TAIL_BYTES_MAX = 256 << 10
"""An event longer than this is passed on in parts, and not read."""

ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
BOUNDARY_BYTES_MAX = 4
DIGITS_MAX = 10
"""Of a sequence number: no answer has as many events."""
BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class EventCutter:
    r"""Gives out whole events; what is not whole yet waits, which no reader of events can notice.

    So a stream that breaks off never leaves half an event in front of the error event.

    Args:
        echo: Bytes by which an event may be longer, because it says once more what was asked.

    Example:
        >>> cutter = EventCutter()
        >>> cutter.feed(b"data: 1\n\ndata: 2"), cutter.feed(b"\n\n"), cutter.rest()
        (b'data: 1\n\n', b'data: 2\n\n', b'')
    """

    __slots__ = ("_most", "_tail")

    def __init__(self, echo: int = 0) -> None:
        self._tail = bytearray()
        self._most = TAIL_BYTES_MAX + echo

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes in and return those up to the last boundary, perhaps none; what waits is neither copied nor looked at again."""
        tail = self._tail
        if not tail:
            if chunk.endswith(b"\n\n"):
                return chunk
            at = _last_end(chunk, 0)
            tail += chunk[at:]
            return chunk[:at] if len(tail) <= self._most else chunk[:at] + self.rest()
        seen = max(0, len(tail) - BOUNDARY_BYTES_MAX + 1)
        tail += chunk
        at = _last_end(tail, seen)
        if len(tail) - at > self._most:
            return self.rest()
        whole = bytes(tail[:at])
        del tail[:at]
        return whole

    def rest(self) -> bytes:
        """Return what is left at the end of the stream."""
        rest = bytes(self._tail)
        self._tail.clear()
        return rest


def _last_end(events: bytes | bytearray, begin: int) -> int:
    """Return where the last boundary ends that does not begin before a place, or 0."""
    last = 0
    for end in ENDS:
        at = events.rfind(end, begin)
        if at >= 0:
            last = max(last, at + len(end))
    return last


def event_data(events: bytes) -> Iterator[bytes]:
    r"""Yield the data of each event; several data lines of one event are joined by line feeds.

    Args:
        events: Whole events.

    Example:
        >>> list(event_data(b": ping\n\nevent: a\ndata: {}\n\ndata: [DONE]\n\n"))
        [b'{}', b'[DONE]']
    """
    for event in BOUNDARY.split(events):
        lines = [line[5:].lstrip(b" ") for line in event.splitlines() if line.startswith(b"data:")]
        if lines:
            yield b"\n".join(lines) if len(lines) > 1 else lines[0]


def cut_after(events: bytes, number: int) -> tuple[bytes, bytes]:
    r"""Return the events up to a sequence number, and those behind it: what a client has that goes on from there, and what it asks for.

    Args:
        events: Whole events of a response.
        number: Sequence number of the last event that the client has read.

    Example:
        >>> cut_after(b'data: {"sequence_number": 0}\n\ndata: {"sequence_number": 1}\n\n', 0)[1]
        b'data: {"sequence_number": 1}\n\n'
    """
    begin = 0
    for end in BOUNDARY.finditer(events):
        said = (
            object_or_empty(data).get("sequence_number") for data in event_data(events[begin : end.end()])
        )
        if any(type(one) is int and one > number for one in said):
            return events[:begin], events[begin:]
        begin = end.end()
    return events, b""


def goes_on_after(query: bytes) -> int | None:
    """Return the sequence number behind which a client wants a stream to go on, or None where it wants it whole.

    Example:
        >>> goes_on_after(b"stream=true&starting_after=7"), goes_on_after(b"stream=true")
        (7, None)
    """
    said = parse_qs(query.decode("latin-1")).get("starting_after", [""])[0]
    return int(said) if said.isascii() and said.isdigit() and len(said) < DIGITS_MAX else None
