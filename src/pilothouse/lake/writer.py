# SPDX-License-Identifier: Apache-2.0
"""Rows into tables: flatten, show from memory, fold traces, commit segments. One thread owns it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import pyarrow as pa

from pilothouse.core.evidence.task import TaskState
from pilothouse.errors import PilothouseError
from pilothouse.lake.agent_names import AgentNames
from pilothouse.lake.assembler import Assembler, Closing, Repeated
from pilothouse.lake.batches import span_batch, to_batch
from pilothouse.lake.columns import SPANS, TASKS, CoreSpan, TaskRow
from pilothouse.lake.counters import Counters
from pilothouse.lake.fold import fold_trace, has_work, same_task
from pilothouse.lake.fold_retries import FoldRetries
from pilothouse.lake.node_clock import NodeClock
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_request import ParsedRequest
from pilothouse.lake.prices import PriceSource
from pilothouse.lake.repricing import priced_now
from pilothouse.lake.retention import Retention
from pilothouse.lake.rows import Arrival
from pilothouse.lake.segments import SegmentTable
from pilothouse.lake.span_block import SpanBlock
from pilothouse.lake.stored_rows import StoredRows
from pilothouse.lake.tail import Tail
from pilothouse.lake.view import Database, View
from pilothouse.lake.wal_record import WalRecord
from pilothouse.ports.lake import OVERFLOW_AGENT
from pilothouse.ports.upkeep import Removed, RetentionRule

__all__ = ["CORRECTED_AT_ONCE", "MERGE_LOOK_S", "REBUILT", "LakeWriter"]

SEGMENT_ROWS = 16_384
"""Rows after which a segment is committed; small enough for memory, large enough to compress."""

SEGMENT_BYTES = 32 << 20
"""Bytes after which one is committed, however few rows: a span may carry a megabyte of text."""

SEGMENT_S = 1.0
"""Age after which one is committed however small: another process sees it then."""

BATCH_ROWS = 512
"""Rows after which they are turned into Arrow: a few milliseconds, so that pages in this process stay quick."""

INDEXED_AT_ONCE = 16
"""Files of earlier processes whose traces are noted at the start and with one commit; each costs some milliseconds."""

INDEXED_ROWS = 131_072
"""Rows after which no further file is, for merged files take half a second each, in which what is sent waits."""

MERGE_LOOK_S = 5.0
"""How often it is looked whether small files are worth merging; under full load there are so many after some seconds."""

MERGE_SHARE = 0.2
"""Most of this thread's time that merges take: what has to be merged at once, after a day's end, is spread out."""

VACUUM_S = 3_600.0
"""How often files that nobody needs any more are deleted, and the last small files of days that are over merged."""

FIRST_VACUUM_S = 60.0
"""When they are deleted first: a server that runs for less than an hour at a time would never delete what was erased."""

CORRECTED_AT_ONCE = 1_000
"""Traces that are folded again together, with all their stored spans in memory: of ordinary ones some tens of megabytes."""

RETRY_S = 300.0
"""Pause after an upkeep that failed."""

DAY_NS = 86_400 * 1_000_000_000

REMEMBER_NS = 3_600 * 1_000_000_000
"""Traces closed within the last hour are known after a restart."""

FRESH_NS = 3_600 * 1_000_000_000
"""A trace that started longer ago than this may have been closed in an earlier life: whether it has a row is looked up.
One that is younger had none then, unless its trace goes on with a root of its own: that is asked of the files whose traces are noted."""


SEALED_NS = 48 * 3_600 * 1_000_000_000
"""After this a task stays as it is: what comes later is stored and counted. Verdicts and counted days rest on it by then."""

REPRICED = "reprice"
"""Why a task is folded again when a model has got a price."""

REBUILT = "rebuild"
"""Why it is when a person asks for it, with what came after it was sealed."""


class LakeWriter:
    """The tables `spans` and `tasks` of one node, and their rows that are still in memory.

    Args:
        folder: The lake folder.
        node_id: This node.
        database: Where look-ups run.
        clock: The time.
        counters: Where rows are counted.
        prices: Where the price of a model call is asked.
        grace_s: Quiet time after a root before its task is folded, seconds.
        merge_look_s: How often it is looked whether small files are worth merging, seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        node_id: str,
        database: Database,
        clock: NodeClock,
        counters: Counters,
        prices: PriceSource,
        grace_s: float,
        merge_look_s: float,
    ) -> None:
        self._database = database
        self._spans, self._tasks = (
            SegmentTable(
                folder / name, schema, on_file=database.traces.add_rows, on_merge=database.traces.merge
            )
            for name, schema in (("spans", SPANS), ("tasks", TASKS))
        )
        self._node_id = node_id
        self._clock = clock
        self._counters = counters
        self._prices = prices
        self._assembler = Assembler(grace_s=grace_s)
        self._agent_names = AgentNames(folder)
        self._fold_retries = FoldRetries()
        self._retention = Retention(self._spans, self._tasks)
        self._view = View()
        self._stored_rows = StoredRows(self.view, database)
        self._blocks: list[SpanBlock] = []
        self._block_rows = 0
        self._span_tail = Tail(self._spans, SPANS, f"wal:{node_id}")
        self._task_tail = Tail(self._tasks, TASKS, f"assembler:{node_id}")
        self._tail_since: float | None = None
        self._taken_seq = -1
        self.committed_seq = -1
        self._merge_look_s = merge_look_s
        self._upkeep_at = time.monotonic() + merge_look_s
        self._vacuum_at = time.monotonic() + FIRST_VACUUM_S
        self._over_before = 0
        self._has_past = False
        self.start_fault = ""

    def view(self) -> View:
        """Return the present view."""
        return self._view

    @property
    def is_full(self) -> bool:
        """Whether the segment is full and should be committed now."""
        tail = self._span_tail
        return tail.rows + self._block_rows >= SEGMENT_ROWS or tail.size_bytes >= SEGMENT_BYTES

    @property
    def uncommitted_s(self) -> float:
        """Age of the oldest row that is in no file, seconds."""
        return 0.0 if self._tail_since is None else time.monotonic() - self._tail_since

    def seconds_to_next(self) -> float:
        """Return how long the thread may sleep until the next step."""
        if self._blocks:
            return 0.0
        if self._tail_since is not None:
            return max(0.01, SEGMENT_S - self.uncommitted_s)
        return 0.25 if self._assembler.open_traces else SEGMENT_S

    def recover(self) -> int:
        """Open the tables and rebuild the open traces, as far as they can be read; return the last committed log number.

        Raises:
            StorageUnavailable: The log of a table cannot be read.
        """
        for table in (self._spans, self._tasks):
            table.create()
            table.refresh()
        self._publish()
        self.committed_seq = self._taken_seq = self._spans.committed(f"wal:{self._node_id}")
        assembled = self._tasks.committed(f"assembler:{self._node_id}")
        self._has_past = bool(self._tasks.files())
        if self._has_past:
            self._index_traces()
        try:
            for trace_id in self._stored_rows.trace_ids_closed_after(self._clock.now_ns() - REMEMBER_NS):
                self._assembler.remember(trace_id)
            if assembled < self.committed_seq:
                spans = self._stored_rows.core_spans_touched_after(self._node_id, assembled)
                self._assembler.add_all(spans, time.monotonic())
        except PilothouseError as fault:
            # What comes in must not wait for a file that somebody has to bring back; what was open waits for the next start.
            self.start_fault = str(fault)
            self._fold_retries.leave_from(assembled + 1)
        return self.committed_seq

    def take(self, record: WalRecord, request: ParsedRequest) -> None:
        """Flatten one request and feed its rows to the assembler and the tail."""
        arrival = Arrival(
            received_ns=record.received_ns,
            node=self._node_id,
            seq=record.seq,
            source=record.source,
            shown_agent=lambda agent: self._agent_names.shown(record.source, agent, record.received_ns),
        )
        at = time.monotonic()
        cores, blocks = decode_rows(request, arrival, self._prices)
        if self._agent_names.is_over:
            replaced = sum(core.agent == OVERFLOW_AGENT for core in cores)
            self._counters.add("over_agent_names", replaced)
        repeated = self._assembler.add_all(cores, at)
        if repeated:
            blocks = [kept for block in blocks if len(kept := block.without(repeated))]
            self._counters.add("deduplicated", len(repeated))
            conflicting = list(repeated.values()).count(Repeated.CONFLICTING)
            self._counters.add("conflicting", conflicting)
        self._taken_seq = record.seq
        if blocks:
            self._blocks += blocks
            self._block_rows += sum(map(len, blocks))
            if self._tail_since is None:
                self._tail_since = at
        if self._block_rows >= BATCH_ROWS:
            self._show_rows()

    def skip(self, seq: int) -> None:
        """Note that a record was quarantined."""
        self._taken_seq = seq

    def tick(self) -> None:
        """Show new rows, close the traces that are due, commit when it is time."""
        self._show_rows()
        at = time.monotonic()
        try:
            self._fold([*self._fold_retries.due(at), *self._assembler.due(at)])
        finally:
            self.commit_if_due()
        if at >= self._upkeep_at:
            self.upkeep()

    def settle(self, *, also_rootless: bool = False) -> None:
        """Close every trace that can be closed, and commit everything."""
        self._show_rows()
        self._fold(self._assembler.settle(also_rootless=also_rootless))
        self.flush()

    def commit_if_due(self) -> None:
        """Commit when the segment is full or old."""
        if self.is_full or self.uncommitted_s >= SEGMENT_S:
            self.flush()

    def flush(self) -> None:
        """Commit everything that is in memory, spans before the tasks that rest on them."""
        self._show_rows()
        try:
            spans_went = self._span_tail.commit(self._taken_seq)
            self._spans.make_durable()
            self.committed_seq = max(self.committed_seq, self._span_tail.reached)
            self._publish()
            needed = (self._assembler.first_open_seq(), self._fold_retries.first_seq)
            self._task_tail.commit(min([self._taken_seq, *(seq - 1 for seq in needed if seq is not None)]))
            self._tasks.make_durable()
        finally:
            self._publish()  # what went into a file has left the memory, whichever step failed after it
        self._tail_since = None
        if spans_went:
            self._index_traces()

    def upkeep(self) -> None:
        """Merge some small files, and vacuum once an hour; then yield to requests."""
        began = time.monotonic()
        self._upkeep_at = began + RETRY_S  # a file that cannot be read is not tried again with every request
        if began >= self._vacuum_at:
            self._vacuum_at = began + VACUUM_S
            self._over_before = self._clock.sure_ns() // DAY_NS
            for table in (self._spans, self._tasks):
                table.vacuum()
        if any(table.small_files(over_before=self._over_before) for table in (self._spans, self._tasks)):
            self.flush()  # a full segment beside a merge would be the most that ever stands in memory
            pa.default_memory_pool().release_unused()  # what it took fits the next segment, and no merge
        merged = any(table.merge(over_before=self._over_before) for table in (self._spans, self._tasks))
        if not merged:
            self._over_before = 0
        self._publish()
        pa.default_memory_pool().release_unused()
        spent_s = time.monotonic() - began
        self._upkeep_at = began + max(spent_s / MERGE_SHARE, 0.0 if merged else self._merge_look_s)

    def retain(self, rules: Sequence[RetentionRule]) -> list[Removed]:
        """Delete what is older than its retention rule allows.

        Args:
            rules: One for each agent that has its own.
        """
        self.flush()
        before = self.rows()
        try:
            return self._retention.apply(rules, self._clock.sure_ns() // DAY_NS)
        finally:
            # What went before a fault is gone: books that did not say so would tell of a loss.
            self._spans.refresh()
            self._publish()
            self._counters.add("expired", before - self.rows())

    def erase(self, traces: Sequence[str]) -> int:
        """Erase the content of the rows of some traces; return how many rows were changed."""
        self.flush()
        self._assembler.forget_words(traces)
        emptied = self._retention.erase(traces)
        self._publish()
        return emptied

    def purge(self) -> None:
        """Delete the files that the tables do not name any more, for nobody but this process writes or will."""
        for table in (self._spans, self._tasks):
            table.vacuum(hours=0)

    def to_price(self, since_ns: int) -> list[str]:
        """Return the traces whose cost is not known and may be now.

        Args:
            since_ns: Start of the open windows, Unix nanoseconds.
        """
        return self._stored_rows.trace_ids_to_price(since_ns, self._prices)

    def late_tasks(self) -> list[str]:
        """Return the sealed tasks with more stored spans than their row was folded from."""
        self.flush()
        return self._stored_rows.late_tasks(self._clock.now_ns() - SEALED_NS)

    def refold(self, trace_ids: Sequence[str], *, reason: str = REPRICED) -> int:
        """Fold the tasks of some traces again with the prices that are known now; return how many were corrected.

        Args:
            trace_ids: At most `CORRECTED_AT_ONCE`.
            reason: `REPRICED` leaves out what came too late for them.
        """
        rows = self._corrections(
            [
                Closing(trace_id=ident, spans=(), has_root=True, reason=reason, is_known=True)
                for ident in trace_ids
            ],
            self._clock.now_ns(),
        )
        self._add_tasks(rows)
        self.flush()
        return len(rows)

    def rows(self) -> int:
        """Return how many rows of `spans` are visible, counted by a query."""
        view = self._view
        return sum(file.rows for file in view.span_files) + sum(batch.num_rows for batch in view.span_tail)

    @property
    def rows_hidden(self) -> int:
        """Rows that are flattened and not shown yet."""
        return self._block_rows

    @property
    def open_traces(self) -> int:
        """Traces whose spans are still being gathered."""
        return self._assembler.open_traces

    def _show_rows(self) -> None:
        if self._blocks:
            self._span_tail.add(span_batch(self._blocks))
            self._blocks, self._block_rows = [], 0
        self._publish()

    def _index_traces(self) -> None:
        """Note the traces of a few files that an earlier process or a merge wrote.

        One that cannot be read is named to whoever asks for its rows, and stops neither a commit nor the start.
        """
        index = self._database.traces
        rows_of = {file.path: file.rows for file in (*self._spans.files(), *self._tasks.files())}
        rows = 0
        for path in index.keep(rows_of)[-INDEXED_AT_ONCE:]:
            if rows < INDEXED_ROWS:
                with contextlib.suppress(OSError, pa.ArrowException):
                    index.read(path)
                rows += rows_of[path]

    def _publish(self) -> None:
        self._view = View(
            span_files=self._spans.files(),
            task_files=self._tasks.files(),
            span_tail=self._span_tail.batches,
            task_tail=self._task_tail.batches,
        )

    def _fold(self, closings: Iterable[Closing]) -> None:
        now_ns = self._clock.now_ns()
        rows: list[TaskRow] = []
        known: list[Closing] = []
        unsure: list[Closing] = []
        fresh: list[Closing] = []
        for closing in closings:
            if closing.is_known:
                known.append(closing)
            elif self._assembler.has_forgotten or min(map(_start_ns, closing.spans)) < now_ns - FRESH_NS:
                unsure.append(closing)
            elif self._has_past:
                fresh.append(closing)
            else:
                rows += _first_row(closing, now_ns)
        stored = self._stored([closing.trace_id for closing in unsure])
        stored |= self._stored([closing.trace_id for closing in fresh], surely=True)
        for closing in (*unsure, *fresh):
            if closing.trace_id in stored:
                known.append(closing)
            else:
                rows += _first_row(closing, now_ns)
        self._add_tasks(rows)
        self._correct(known, now_ns)

    def _correct(self, closings: Sequence[Closing], now_ns: int) -> None:
        """Fold traces that may have a row already; what cannot be read of one now is tried again and costs no other its task."""
        closings = list(
            {closing.trace_id: closing for closing in closings}.values()
        )  # one may be due again meanwhile
        faults: list[PilothouseError] = []
        for start in range(0, len(closings), CORRECTED_AT_ONCE):
            some = closings[start : start + CORRECTED_AT_ONCE]
            try:
                self._add_tasks(self._corrections(some, now_ns))
            except PilothouseError as fault:
                self._fold_retries.add(some, time.monotonic())
                faults.append(fault)
            else:
                self._fold_retries.done(some)
        if faults:
            raise faults[0]

    def _stored(self, trace_ids: Sequence[str], *, surely: bool = False) -> set[str]:
        """Return the traces that have a row, or may have one unless `surely`, by the index alone."""
        if not trace_ids:
            return set()
        files = [file.path for file in self._tasks.files()]
        stored = self._database.traces.stored(files, trace_ids, surely=surely)
        for batch in self._task_tail.batches:
            stored.update(set(trace_ids).intersection(batch.column("trace_id").to_pylist()))
        return stored

    def _add_tasks(self, rows: list[TaskRow]) -> None:
        if rows:
            self._task_tail.add(to_batch(rows, TASKS))
            if self._tail_since is None:
                self._tail_since = time.monotonic()
            self._publish()

    def _corrections(self, closings: Sequence[Closing], now_ns: int) -> list[TaskRow]:
        """Fold traces that may have a row already, with everything stored of them."""
        starts = [min(map(_start_ns, closing.spans)) for closing in closings if closing.spans]
        ids = [closing.trace_id for closing in closings]
        # A trace that is tried again has no spans in memory, so nothing says when it was.
        view = self._stored_rows.near(ids, starts if len(starts) == len(ids) else ())
        current = self._stored_rows.task_rows(ids, view=view)
        closings = [one for one in closings if not self._is_sealed(one, current.get(one.trace_id), now_ns)]
        stored: dict[str, list[CoreSpan]] = {}
        for span in self._stored_rows.core_spans([closing.trace_id for closing in closings], view=view):
            stored.setdefault(span.trace_id, []).append(priced_now(span, self._prices))
        rows = []
        for closing in closings:
            spans = (*stored.get(closing.trace_id, ()), *closing.spans)
            if not has_work(spans):
                continue
            earlier = current.get(closing.trace_id)
            if closing.reason == REPRICED and earlier is not None:  # a price is never late, a span may be
                last_ns = earlier.last_received_ns
                spans = tuple(one for one in spans if one.record != "span" or one.received_ns <= last_ns)
            has_root = any(span.parent_span_id is None and span.record == "span" for span in spans)
            row = _row(spans, closing.reason, now_ns, has_root=has_root)
            if earlier is not None:
                if same_task(row, earlier):
                    continue
                if row.spans < earlier.spans:
                    # Spans of it are past their retention: what is left says less than the row does.
                    self._counters.add("late_after_retention")
                    continue
                self._counters.add("repriced" if closing.reason == REPRICED else "late")
                row = row._replace(revision=earlier.revision + 1, day=earlier.day)
            rows.append(row)
        return rows

    def _is_sealed(self, closing: Closing, earlier: TaskRow | None, now_ns: int) -> bool:
        """Whether late spans of a trace arrived after its task was sealed; they are only counted then. A price is never late."""
        is_late = earlier is not None and bool(closing.spans) and earlier.closed_ns < now_ns - SEALED_NS
        if is_late:
            self._counters.add("late_after_seal", sum(span.record == "span" for span in closing.spans))
        return is_late


def _first_row(closing: Closing, now_ns: int) -> Iterator[TaskRow]:
    """Yield the first row of a new trace, if it is a task."""
    if has_work(closing.spans):
        yield _row(closing.spans, closing.reason, now_ns, has_root=closing.has_root)


def _row(spans: Iterable[CoreSpan], reason: str, now_ns: int, *, has_root: bool) -> TaskRow:
    state = TaskState.COMPLETE if has_root else TaskState.INCOMPLETE
    return fold_trace(spans, state=state, reason=reason, closed_ns=now_ns)


_start_ns = itemgetter(CoreSpan._fields.index("start_ns"))
