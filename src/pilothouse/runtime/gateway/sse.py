# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream of server-sent events at event boundaries without changing a byte of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["BOUNDARY", "TAIL_BYTES_MAX", "EventCutter", "event_data"]

TAIL_BYTES_MAX = 256 << 10
"""An event longer than this is passed on in parts, and not read."""

ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
BOUNDARY_BYTES_MAX = 4
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
