# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream of server-sent events at event boundaries without changing a byte of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["TAIL_BYTES_MAX", "EventCutter", "event_data"]

TAIL_BYTES_MAX = 256 << 10
"""An event longer than this is passed on in parts, and not read."""

ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class EventCutter:
    r"""Gives out whole events; what is not whole yet waits, which no reader of events can notice.

    So a stream that breaks off never leaves half an event in front of the error event.

    Example:
        >>> cutter = EventCutter()
        >>> cutter.feed(b"data: 1\n\ndata: 2"), cutter.feed(b"\n\n"), cutter.rest()
        (b'data: 1\n\n', b'data: 2\n\n', b'')
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes in and return those up to the last boundary, perhaps none."""
        whole = self._tail + chunk if self._tail else chunk
        if whole.endswith(b"\n\n"):
            self._tail = b""
            return whole
        at = max((whole.rfind(end) + len(end) for end in ENDS if end in whole), default=0)
        if len(whole) - at > TAIL_BYTES_MAX:
            at = len(whole)
        self._tail = whole[at:]
        return whole[:at]

    def rest(self) -> bytes:
        """Return what is left at the end of the stream."""
        tail, self._tail = self._tail, b""
        return tail


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
