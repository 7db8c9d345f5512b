# SPDX-License-Identifier: Apache-2.0
"""Spans on their way into the lake (spans → requests it can take), kept while it has no room for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pilothouse.ports.intake import Intake, IntakeAnswer, Signal

__all__ = ["UnsentSpans"]

REQUEST_BYTES_MAX = 8 << 20
"""Spans of one request: half of what the intake takes, for one span has a few hundred kilobytes at most."""

UNSENT_BYTES_MAX = 64 << 20
"""What is kept while the lake takes nothing (a full disk, a server that starts): thousands of calls. Further spans are dropped and counted."""

AGAIN = (IntakeAnswer.BUSY, IntakeAnswer.OVER_QUOTA)


class UnsentSpans:
    """Requests in the order they were made; one thread owns them.

    Args:
        intake: Takes OTLP requests.

    Attributes:
        written: Spans that the lake has.
        refused: Spans that it did not take.
        dropped: Spans that there was no room to keep.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._requests: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self.written = self.refused = self.dropped = 0

    def add(self, resource: Sequence[dict[str, Any]], spans: Sequence[dict[str, Any]]) -> None:
        """Add the spans of one sender.

        Args:
            resource: Its attributes.
            spans: As OTLP writes them in JSON.
        """
        for part in _parts(spans):
            scope = {"scope": {"name": "pilothouse.gateway"}, "spans": part}
            body = msgspec.json.encode(
                {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}
            )
            if self._bytes + len(body) > UNSENT_BYTES_MAX:
                self.dropped += len(part)
                continue
            self._requests.append((body, len(part)))
            self._bytes += len(body)

    def send(self) -> None:
        """Send everything, until the lake has no room; what raises is lost and counted."""
        while self._requests:
            body, count = self._requests.popleft()
            try:
                receipt = self._intake.accept(
                    Signal.TRACES,
                    content_type="application/json",
                    content_encoding="",
                    body=body,
                    source="gateway",
                )
            except Exception:
                self._bytes -= len(body)
                self.refused += count
                raise
            if receipt.answer in AGAIN:
                self._requests.appendleft((body, count))
                return
            self._bytes -= len(body)
            rejected = receipt.rejected if receipt.answer is IntakeAnswer.ACCEPTED else count
            self.written += count - rejected
            self.refused += rejected

    def give_up(self) -> None:
        """Count what is still here as refused: the process ends."""
        self.refused += sum(count for _, count in self._requests)
        self._requests.clear()
        self._bytes = 0


def _parts(spans: Sequence[dict[str, Any]]) -> Iterator[list[msgspec.Raw]]:
    """Yield spans as JSON, as many together as fit into one request."""
    part: list[msgspec.Raw] = []
    size = 0
    for span in spans:
        text = msgspec.json.encode(span)
        if part and size + len(text) > REQUEST_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(msgspec.Raw(text))
        size += len(text)
    if part:
        yield part
