# SPDX-License-Identifier: Apache-2.0
"""Tell whether a stream has come to its first content, whatever it is encoded with."""

from __future__ import annotations

import zlib

from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import EventCutter, event_data
from pilothouse.runtime.gateway.wire import INFLATED_BYTES_MAX, Answer, Stage, inflater_window, read_event

__all__ = ["EventReader"]


class EventReader:
    """Reads the events before the first content, through a content encoding if there is one.

    Args:
        encoding: Content encoding of the answer, or empty.
        echo: Bytes by which an event may be longer, because it says once more what was asked.
    """

    def __init__(self, encoding: str, echo: int = 0) -> None:
        self._inflater = None
        self._window = inflater_window(encoding)
        self._is_blind = encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}
        self._cutter = EventCutter(echo)
        if encoding in {"gzip", "x-gzip", "deflate"}:
            self._inflater = zlib.decompressobj(self._window)

    def stage(self, part: bytes, operation: Operation, said: Answer) -> str:
        """Return what the events in the next part are: the first that is not before the content decides.

        Args:
            part: Next bytes.
            operation: What was asked for.
            said: Filled with what the events say about the answer.
        """
        if self._is_blind:
            return Stage.CONTENT
        if self._inflater is not None:
            try:
                part = self._inflated(part)
            except zlib.error:
                self._is_blind = True
                return Stage.CONTENT
            part = self._cutter.feed(part)
        for data in event_data(part):
            stage = read_event(data, operation, said)
            if stage != Stage.BEFORE:
                return stage
        return Stage.BEFORE

    def _inflated(self, part: bytes) -> bytes:
        """Return a part without its encoding; some servers send several members, each whole by itself, up to one for each event."""
        plain = b""
        while part and self._inflater is not None and len(plain) < INFLATED_BYTES_MAX:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(self._window)
            plain += self._inflater.decompress(part, INFLATED_BYTES_MAX - len(plain))
            part = self._inflater.unused_data
        return plain
