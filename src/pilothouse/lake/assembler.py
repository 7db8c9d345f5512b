# SPDX-License-Identifier: Apache-2.0
"""Gather the spans of each trace until it is complete (rows → closings), in bounded memory.

A span is exported when it ends, so the root usually comes last: its arrival, followed by quiet, closes
the trace. What comes later is gathered again and leads to a corrected row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from pilothouse.core.evidence.claim import ERASED_CLAIM
from pilothouse.lake.closed_traces import ClosedTraces
from pilothouse.lake.columns import CoreSpan

__all__ = ["GRACE_S", "IDLE_S", "LATE_S", "OPEN_SPANS_MAX", "Assembler", "Closing", "Repeated"]

GRACE_S = 10.0
"""Quiet time after the root ended: twice the batch delay of the OpenTelemetry SDKs, because the
processes of one trace export independently."""

IDLE_S = 600.0
"""After this a trace without a root is shown as incomplete."""

LATE_S = 5.0
"""Late spans of one trace are gathered this long: at most one correction in that time."""

OPEN_SPANS_MAX = 30_000
"""Spans in memory, 0.8 KiB each, and up to 2 KiB where every preview is another text; beyond it the quietest traces are
closed early, which is safe: a late span corrects its task. Half as many more may stand there before somebody looks."""


class Repeated(Enum):
    """How a duplicate span compares with the one that was kept."""

    DUPLICATE = "duplicate"
    CONFLICTING = "conflicting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A closed trace that is ready to be folded into a row.

    Attributes:
        trace_id: The trace.
        spans: What was gathered of it in memory.
        has_root: Whether its root has arrived.
        reason: `root_ended`, `idle`, `evicted` or `late_span`.
        is_known: Whether a row of it may exist as far as is remembered, so that stored spans must be folded in.
    """

    trace_id: str
    spans: tuple[CoreSpan, ...]
    has_root: bool
    reason: str
    is_known: bool


class _Open:
    """One trace whose spans are still being gathered."""

    __slots__ = ("first_seq", "last_at", "spans")

    def __init__(self, at: float, seq: int) -> None:
        self.spans: dict[tuple[str, str], CoreSpan] = {}
        self.last_at = at
        self.first_seq = seq


class Assembler:
    """The open traces of one node. Not thread-safe: one thread owns it.

    Args:
        grace_s: Quiet time after the root, seconds.
        idle_s: Time without news after which a trace without a root is closed, seconds.
        late_s: Time for which late spans are gathered, seconds.
        spans_max: Spans in memory.
    """

    def __init__(
        self,
        *,
        grace_s: float = GRACE_S,
        idle_s: float = IDLE_S,
        late_s: float = LATE_S,
        spans_max: int = OPEN_SPANS_MAX,
    ) -> None:
        self._grace_s = grace_s
        self._idle_s = idle_s
        self._late_s = late_s
        self._spans_max = spans_max
        self._rooted: OrderedDict[str, _Open] = OrderedDict()
        self._rootless: OrderedDict[str, _Open] = OrderedDict()
        self._late: OrderedDict[str, _Open] = OrderedDict()
        self._closed = ClosedTraces()
        self._spans = 0

    @property
    def open_traces(self) -> int:
        """Traces whose spans are still being gathered."""
        return len(self._rooted) + len(self._rootless) + len(self._late)

    @property
    def open_spans(self) -> int:
        """Spans in memory."""
        return self._spans

    @property
    def has_forgotten(self) -> bool:
        """Whether the row of an earlier closing may exist that is no longer remembered."""
        return self._closed.has_forgotten

    def remember(self, trace_id: str) -> None:
        """Remember that a row of this trace exists."""
        self._closed.add(trace_id)

    def add_all(self, spans: Iterable[CoreSpan], at: float) -> dict[int, Repeated]:
        """Add spans and log records; cheapest when those of one trace are adjacent.

        Args:
            spans: Their core columns.
            at: Present reading of the monotonic clock, seconds.

        Returns:
            Those that were there already, by their place.
        """
        repeated: dict[int, Repeated] = {}
        present, is_rooted, fresh = "", False, 0
        gathered: dict[tuple[str, str], CoreSpan] = {}
        for place, span in enumerate(spans):
            trace_id = span.trace_id
            if not trace_id:
                continue
            if trace_id != present:
                trace = self._touch(trace_id) or self._begin(span, at)
                trace.last_at = at
                present, gathered, is_rooted = trace_id, trace.spans, trace_id not in self._rootless
            if not is_rooted and span.parent_span_id is None and span.record == "span":
                self._rooted[trace_id] = self._rootless.pop(trace_id)
                is_rooted = True
            known = gathered.setdefault((span.span_id, span.record_id), span)
            if known is span:
                fresh += 1
            else:
                is_same = known[5:8] == span[5:8] and known.name == span.name
                repeated[place] = Repeated.DUPLICATE if is_same else Repeated.CONFLICTING
        self._spans += fresh
        return repeated

    def _touch(self, trace_id: str) -> _Open | None:
        """Return an open trace and mark it as the most recently active."""
        for traces in (self._rooted, self._rootless):
            if trace_id in traces:
                traces.move_to_end(trace_id)
                return traces[trace_id]
        return self._late.get(trace_id)

    def _begin(self, span: CoreSpan, at: float) -> _Open:
        trace = _Open(at, span.seq)
        if span.trace_id in self._closed:
            self._late[span.trace_id] = trace
        elif span.parent_span_id is None and span.record == "span":
            self._rooted[span.trace_id] = trace
        else:
            self._rootless[span.trace_id] = trace
        return trace

    def forget_words(self, trace_ids: Collection[str]) -> None:
        """Erase content from the buffered spans of some traces, so that no later row repeats it."""
        for traces in (self._rooted, self._rootless, self._late):
            for trace in [traces[trace_id] for trace_id in trace_ids if trace_id in traces]:
                for key, span in trace.spans.items():
                    claim = None if span.task_claim is None else ERASED_CLAIM
                    trace.spans[key] = span._replace(
                        input_preview=None,
                        output_preview=None,
                        user_id=None,
                        conversation_id=None,
                        task_claim=claim,
                    )

    def due(self, at: float) -> Iterator[Closing]:
        """Close the traces that are ready.

        Args:
            at: Present reading of the monotonic clock, seconds.

        Yields:
            Closings, the quietest first.
        """
        yield from self._expire(self._rooted, at - self._grace_s, "root_ended")
        yield from self._expire(self._late, at - self._late_s, "late_span")
        yield from self._expire(self._rootless, at - self._idle_s, "idle")
        while self._spans > self._spans_max:
            yield from self._pop(*self._quietest())

    def settle(self, *, also_rootless: bool = False) -> Iterator[Closing]:
        """Close every trace whose root has arrived, and traces with late spans, without waiting.

        Args:
            also_rootless: Close the others too, as incomplete.
        """
        for traces, reason in ((self._rooted, "root_ended"), (self._late, "late_span")):
            while traces:
                yield from self._pop(traces, reason)
        while also_rootless and self._rootless:
            yield from self._pop(self._rootless, "idle")

    def first_open_seq(self) -> int | None:
        """Return the smallest log number that an open trace still needs, or None when none is open."""
        seqs = [
            trace.first_seq
            for traces in (self._rooted, self._rootless, self._late)
            for trace in traces.values()
        ]
        return min(seqs, default=None)

    def _expire(self, traces: OrderedDict[str, _Open], before: float, reason: str) -> Iterator[Closing]:
        while traces and next(iter(traces.values())).last_at <= before:
            yield from self._pop(traces, reason)

    def _quietest(self) -> tuple[OrderedDict[str, _Open], str]:
        for traces, reason in ((self._rooted, "root_ended"), (self._late, "late_span")):
            if traces:
                return traces, reason
        return self._rootless, "evicted"

    def _pop(self, traces: OrderedDict[str, _Open], reason: str) -> Iterator[Closing]:
        trace_id, trace = traces.popitem(last=False)
        self._spans -= len(trace.spans)
        is_known = reason in ("idle", "late_span") or trace_id in self._closed
        self.remember(trace_id)
        if trace.spans:
            yield Closing(
                trace_id=trace_id,
                spans=tuple(trace.spans.values()),
                has_root=traces is self._rooted,
                reason=reason,
                is_known=is_known,
            )
