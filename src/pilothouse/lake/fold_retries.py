# SPDX-License-Identifier: Apache-2.0
"""Retry queue of closed traces that could not be folded because their stored spans could not be read at the time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from pilothouse.lake.assembler import Closing

__all__ = ["AGAIN_S", "RETRIES_MAX", "FoldRetries"]

AGAIN_S = 60.0
"""Pause between two tries: a query that is stopped after its ten seconds leaves most of the time to requests."""

RETRIES_MAX = 100_000
"""Traces in the queue, 0.3 KiB each: their spans are stored. Older ones are left to the next start, which reads the log again from the
first of them."""


class FoldRetries:
    """Traces to fold again later. Not thread-safe: the thread that writes the tables owns it."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[str, str] = OrderedDict()
        self._first_seq: int | None = None
        self._left_seq: int | None = None
        self._again_at = 0.0

    @property
    def first_seq(self) -> int | None:
        """The smallest log number that a queued trace needs, or None for an empty queue."""
        return min([seq for seq in (self._first_seq, self._left_seq) if seq is not None], default=None)

    def leave_from(self, seq: int) -> None:
        """Leave everything from this log number on to the next start."""
        self._left_seq = seq

    def add(self, closings: Iterable[Closing], at: float) -> None:
        """Queue traces for another try.

        Args:
            closings: Traces; their spans are in the table or on the way there.
            at: Present reading of the monotonic clock, seconds.
        """
        self._again_at = at + AGAIN_S
        for closing in closings:
            self._reasons[closing.trace_id] = closing.reason
            seqs = [span.seq for span in closing.spans]
            self._first_seq = min(
                [*seqs, *([] if self._first_seq is None else [self._first_seq])], default=None
            )
        while len(self._reasons) > RETRIES_MAX:
            self._reasons.popitem(last=False)
            self._left_seq = self.first_seq

    def due(self, at: float) -> list[Closing]:
        """Return the traces that are due for another try.

        Args:
            at: Present reading of the monotonic clock, seconds.
        """
        if not self._reasons or at < self._again_at:
            return []
        return [
            Closing(trace_id=trace_id, spans=(), has_root=False, reason=reason, is_known=True)
            for trace_id, reason in self._reasons.items()
        ]

    def done(self, closings: Iterable[Closing]) -> None:
        """Remove traces that have been folded.

        Args:
            closings: Traces, including any that were never queued.
        """
        for closing in closings:
            self._reasons.pop(closing.trace_id, None)
        if not self._reasons:
            self._first_seq = None
