# SPDX-License-Identifier: Apache-2.0
"""The one process that writes a lake: takes OTLP in, keeps it, folds it, and answers queries.

Road: `accept` checks a request and appends it to the log; the `pilothouse-lake` thread flattens what is
on the disk, feeds the assembler, shows rows from memory at once and commits them as segments.
"""

from __future__ import annotations

import gc
import queue
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pilothouse.core.evidence.task import Task
from pilothouse.errors import LimitExceeded, MalformedRecord, PilothouseError
from pilothouse.lake import limits
from pilothouse.lake.assembler import GRACE_S
from pilothouse.lake.counters import Counters
from pilothouse.lake.freshness import Freshness
from pilothouse.lake.inflate import inflate
from pilothouse.lake.lock import WriterLock
from pilothouse.lake.otlp_request import Encoding, ParsedRequest, parse_request
from pilothouse.lake.prices import PriceSource, no_prices
from pilothouse.lake.queries import LakeQueries
from pilothouse.lake.view import Database
from pilothouse.lake.wal import FILE_BYTES, Wal, WalRecord, read_folder
from pilothouse.lake.writer import LakeWriter
from pilothouse.ports import (
    AgentSeen,
    Clock,
    IntakeAnswer,
    LakeHealth,
    Receipt,
    Signal,
    TaskCursor,
    TaskFilter,
    TaskPage,
    TraceView,
)

__all__ = ["LakeNode", "open_node"]

WAITING_BYTES_MAX = 16 << 20
"""Inflated bytes acknowledged and not yet flattened; beyond it senders are told to come again. Parsed, they
take about four times as much memory."""

YOUNG_OBJECTS_MAX = 100_000
"""Objects after which the garbage collector looks for cycles. Rows make none; its default of 700 costs a
tenth of the intake."""

UNCOMMITTED_S_MAX = 300.0
"""Rows that could not be committed for so long mean a broken disk: nothing more is promised."""

DISK_FLOOR_BYTES = 1 << 30
DISK_FLOOR_SHARE = 0.05
"""Free space below which nothing more is accepted: the log and its segments still fit."""

DISK_CHECK_S = 1.0
"""How often the free space is asked for."""

STOP_S = 30.0
"""How long the thread may take to finish when the node stops."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTENT_TYPES = {
    "application/x-protobuf": Encoding.PROTOBUF,
    "application/protobuf": Encoding.PROTOBUF,
    "application/json": Encoding.JSON,
}


@dataclass(frozen=True, slots=True)
class _Settle:
    """Asks the thread to close what can be closed and to commit."""

    done: threading.Event
    also_rootless: bool


class LakeNode:
    """Implements `Intake` and `Lake` for the process that holds the lake's lock.

    Args:
        folder: The lake folder.
        clock: The time.
        grace_s: Quiet time after a root before its task is folded, seconds.
        prices: Where the price of a model call is asked.
        wal_file_bytes: Size of a log file.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        grace_s: float = GRACE_S,
        prices: PriceSource = no_prices,
        wal_file_bytes: int = FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = WriterLock(folder)
        self.counters = Counters()
        self._database = Database()
        self._node_id = _node_id(folder)
        self._writer = LakeWriter(
            folder,
            node_id=self._node_id,
            database=self._database,
            now_ns=self._now_ns,
            counters=self.counters,
            prices=prices,
            grace_s=grace_s,
        )
        self._queries = LakeQueries(self._writer.view, self._database)
        self._waiting: queue.SimpleQueue[tuple[WalRecord, ParsedRequest | None] | _Settle | None] = (
            queue.SimpleQueue()
        )
        self._freshness = Freshness()
        self._waiting_bytes = 0
        self._waiting_items = 0
        self._rows_at_start = 0
        self._bytes_lock = threading.Lock()
        self._last_ns = 0
        self._disk = (0.0, True)
        self._is_open = False
        self._wal_file_bytes = wal_file_bytes
        self._wal: Wal | None = None
        self._collector = gc.get_threshold()
        self._thread = threading.Thread(target=self._run, name="pilothouse-lake", daemon=True)

    # Life

    def start(self) -> None:
        """Replay what the log holds and no table has, then take requests."""
        wal_folder = self._folder / "wal" / self._node_id
        committed = self._writer.recover()
        last = committed
        for record in read_folder(wal_folder, self._on_damage):
            last = max(last, record.seq)
            if record.seq > committed:
                self.counters.add("replayed", record.items - record.rejected)
                self._take(record, None)
                self._writer.commit_if_due()
        self._writer.flush()
        counted = self.counters.read()
        self._rows_at_start = self._writer.rows() - (
            counted["replayed"] - counted["deduplicated"] - counted["quarantined"]
        )
        self._wal = Wal(
            wal_folder, next_seq=last + 1, on_durable=self._on_durable, file_bytes=self._wal_file_bytes
        )
        self._wal.trim(self._writer.committed_seq)
        self._wal.start()
        self._thread.start()
        self._collector = gc.get_threshold()
        gc.set_threshold(YOUNG_OBJECTS_MAX, *self._collector[1:])
        self._is_open = True

    def stop(self, *, drain: bool = False) -> None:
        """Take no more, finish what was acknowledged, fold what has its root, commit, let go of the lock.

        Args:
            drain: Fold also the traces whose root has not come, as incomplete.
        """
        self._is_open = False
        if self._wal is not None:
            self._wal.stop()
            self.settle(also_rootless=drain)
            self._waiting.put(None)
            self._thread.join(STOP_S)
            gc.set_threshold(*self._collector)
            self._wal.trim(self._writer.committed_seq)
        self._database.close()
        self._lock.release()

    def announce(self, address: str) -> None:
        """Say in the lock file where this process takes OTLP, for other processes of this home."""
        self._lock.announce(address)

    # Intake

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Take one request; durable when this returns `ACCEPTED`."""
        return self.submit(
            signal, content_type=content_type, content_encoding=content_encoding, body=body, source=source
        ).result()

    def submit(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Future[Receipt]:
        """Check one request and hand it to the log; the future is done when it is durable or refused.

        Args:
            signal: Which of the three services it was sent to.
            content_type: `application/x-protobuf` or `application/json`.
            content_encoding: Empty, `identity` or `gzip`.
            body: The body as received.
            source: Id of the ingest key or place it came from.
        """
        self.counters.add(f"requests_{signal.value}")
        self.counters.add("wire_bytes", len(body))
        checked = self._check(signal, content_type, content_encoding, body)
        if isinstance(checked, Receipt):
            self.counters.add(f"refused_{checked.answer.value}")
            return _done(checked)
        request, is_gzip = checked
        rejected = len(request.bad)
        receipt = Receipt(
            answer=IntakeAnswer.ACCEPTED, items=request.items, rejected=rejected, reason=request.reason
        )
        self.counters.add("received", request.items)
        self.counters.add("rejected", rejected)
        if request.signal is Signal.METRICS or not request.items:
            return _done(receipt)
        if rejected == request.items:
            return _done(
                Receipt(
                    answer=IntakeAnswer.MALFORMED,
                    items=request.items,
                    rejected=rejected,
                    reason=request.reason,
                )
            )
        if self._wal is None:
            return _done(Receipt(answer=IntakeAnswer.BUSY, reason="the server is starting"))
        return self._append(self._wal, request, is_gzip=is_gzip, body=body, source=source, receipt=receipt)

    def settle(self, *, also_rootless: bool = False) -> None:
        """Close every trace whose root has ended without waiting for late spans, and commit.

        Args:
            also_rootless: Close the others too, as incomplete.
        """
        asked = _Settle(threading.Event(), also_rootless)
        self._waiting.put(asked)
        while not asked.done.wait(0.5):
            if not self._thread.is_alive():
                return

    # Lake

    def tasks(self, wanted: TaskFilter, *, limit: int = 100, before: TaskCursor | None = None) -> TaskPage:
        """Return tasks that match, newest first, at most `limit` (1..10,000)."""
        return self._queries.tasks(wanted, limit=limit, before=before)

    def window(self, wanted: TaskFilter) -> Sequence[Task]:
        """Return every task of a window (both ends required) for folding, at most 1,000,000."""
        return self._queries.window(wanted)

    def trace(self, trace_id: str, *, limit: int = 2_000) -> TraceView | None:
        """Return one trace by its full id, or None when nothing has it."""
        return self._queries.trace(trace_id, limit=limit)

    def agents(self) -> Sequence[AgentSeen]:
        """Return the agents that sent tasks, by name."""
        return self._queries.agents()

    def health(self) -> LakeHealth:
        """Return how the road is doing, with the equation that proves that nothing was lost."""
        counted = self.counters.read()
        rows = self._writer.rows()
        came = self._rows_at_start + counted["acked"] + counted["replayed"]
        went = rows + counted["deduplicated"] + counted["quarantined"] + counted["expired"]
        usage = shutil.disk_usage(self._folder)
        return LakeHealth(
            counters=tuple(sorted(counted.values.items())),
            rows=rows,
            pending=self._waiting_items + self._writer.rows_hidden,
            gap=came - went - self._waiting_items - self._writer.rows_hidden,
            open_traces=self._writer.open_traces,
            waiting_bytes=self._waiting_bytes,
            uncommitted_s=self._writer.uncommitted_s,
            freshness_s=self._freshness.worst_s(self._now_ns()),
            wal_bytes=0 if self._wal is None else self._wal.size_bytes,
            disk_free_bytes=usage.free,
            busy_reason=self._busy_reason(),
            last_error=self.last_error,
        )

    # Inside

    def _check(
        self, signal: Signal, content_type: str, content_encoding: str, body: bytes
    ) -> tuple[ParsedRequest, bool] | Receipt:
        busy = self._busy_reason()
        if busy:
            return Receipt(answer=IntakeAnswer.BUSY, reason=busy)
        encoding = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
        if encoding is None:
            return Receipt(
                answer=IntakeAnswer.UNSUPPORTED,
                reason=f"content type {content_type!r} is neither application/x-protobuf nor application/json",
            )
        packing = content_encoding.strip().lower()
        if packing not in ("", "identity", "gzip"):
            return Receipt(
                answer=IntakeAnswer.UNSUPPORTED, reason=f"content encoding {content_encoding!r} is not gzip"
            )
        if len(body) > limits.BODY_WIRE_BYTES_MAX:
            return Receipt(
                answer=IntakeAnswer.TOO_LARGE,
                reason=f"the body has {len(body)} bytes, at most {limits.BODY_WIRE_BYTES_MAX} are taken",
            )
        try:
            plain = inflate(body) if packing == "gzip" else body
            return parse_request(signal, encoding, plain), packing == "gzip"
        except LimitExceeded as error:
            return Receipt(answer=IntakeAnswer.TOO_LARGE, reason=error.message)
        except MalformedRecord as error:
            return Receipt(answer=IntakeAnswer.MALFORMED, reason=error.message)

    def _busy_reason(self) -> str:
        """Return why nothing is accepted now, or empty; every reason here means: try again."""
        if not self._is_open or self._wal is None:
            return "the server is starting or stopping"
        if self._wal.is_failed:
            return "the write-ahead log cannot be synced; look at the disk"
        if self._waiting_bytes > WAITING_BYTES_MAX:
            return "more is waiting than can be taken in now"
        if self._writer.uncommitted_s > UNCOMMITTED_S_MAX:
            return "the lake could not be written for minutes; look at the disk"
        if not self._has_room():
            return "the disk is at its floor of free space"
        return ""

    def _has_room(self) -> bool:
        checked_at, has_room = self._disk
        at = time.monotonic()
        if at - checked_at > DISK_CHECK_S:
            usage = shutil.disk_usage(self._folder)
            has_room = usage.free > min(DISK_FLOOR_BYTES, usage.total * DISK_FLOOR_SHARE)
            self._disk = (at, has_room)
        return has_room

    def _append(
        self, wal: Wal, request: ParsedRequest, *, is_gzip: bool, body: bytes, source: str, receipt: Receipt
    ) -> Future[Receipt]:
        received_ns = self._now_ns()

        def make(seq: int) -> WalRecord:
            return WalRecord(
                seq=seq,
                signal=request.signal,
                encoding=request.encoding,
                is_gzip=is_gzip,
                source=source,
                received_ns=received_ns,
                items=request.items,
                rejected=receipt.rejected,
                body=body,
            )

        with self._bytes_lock:
            self._waiting_bytes += request.size
            self._waiting_items += receipt.items - receipt.rejected
        answer: Future[Receipt] = Future()
        durable = wal.append(make, request)

        def tell(done: Future[WalRecord]) -> None:
            fault = done.exception()
            if fault is None:
                answer.set_result(receipt)
            else:
                with self._bytes_lock:
                    self._waiting_bytes -= request.size
                    self._waiting_items -= receipt.items - receipt.rejected
                reason = fault.message if isinstance(fault, PilothouseError) else "the log failed"
                answer.set_result(Receipt(answer=IntakeAnswer.BUSY, reason=reason))

        durable.add_done_callback(tell)
        return answer

    def _on_durable(self, record: WalRecord, payload: object) -> None:
        self.counters.add("acked", record.items - record.rejected)
        self._waiting.put((record, payload if isinstance(payload, ParsedRequest) else None))

    def _run(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=self._writer.seconds_to_next())
            except queue.Empty:
                self._guard(self._writer.tick)
                self._note_freshness()
                continue
            if item is None:
                self._guard(self._writer.flush)
                return
            if isinstance(item, _Settle):
                self._guard(partial(self._writer.settle, also_rootless=item.also_rootless))
                item.done.set()
                continue
            record, request = item
            self._freshness.took(record.received_ns)
            self._take(record, request)
            with self._bytes_lock:
                self._waiting_bytes -= request.size if request is not None else 0
                self._waiting_items -= record.items - record.rejected
            if self._waiting.empty() or self._writer.is_full:
                self._guard(self._writer.tick)
            self._note_freshness()
            self._trim()

    def _note_freshness(self) -> None:
        if not self._writer.rows_hidden:
            self._freshness.shown(self._now_ns())

    def _trim(self) -> None:
        if self._wal is not None and self._writer.committed_seq != self._trimmed:
            self._trimmed = self._writer.committed_seq
            self._wal.trim(self._trimmed)

    _trimmed = -1

    def _guard(self, work: Callable[[], object]) -> None:
        """Run a step of the writer; a failing disk is noted and tried again, rows stay where they are."""
        try:
            work()
        except PilothouseError as error:
            self.counters.add("commit_failures")
            self.last_error = str(error)
            time.sleep(min(1.0, 0.05))
        except Exception:  # noqa: BLE001 - a defect of ours must not end the intake; it is counted and shown
            self.counters.add("defects")
            self.last_error = traceback.format_exc(limit=20)

    last_error = ""

    def _take(self, record: WalRecord, request: ParsedRequest | None) -> None:
        """Flatten one record; one that cannot be flattened is set aside with its fault, never dropped."""
        try:
            if request is None:
                body = inflate(record.body) if record.is_gzip else record.body
                request = parse_request(record.signal, record.encoding, body)
            self._writer.take(record, request)
        except Exception:  # noqa: BLE001 - a defect of ours: the request is kept aside and the intake goes on
            self.counters.add("quarantined", record.items - record.rejected)
            folder = self._folder / "wal" / self._node_id / "quarantine"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{record.seq:020d}.record").write_bytes(b"".join(record.to_bytes()))
            (folder / f"{record.seq:020d}.txt").write_text(traceback.format_exc())
            self._writer.skip(record.seq)

    def _on_damage(self, path: Path, fault: str) -> None:
        self.counters.add("wal_corrupt")
        self.last_error = f"log file {path.name} is {fault}; kept in {path.parent}"

    def _now_ns(self) -> int:
        """Return the wall clock in Unix nanoseconds; never earlier than the last answer."""
        now = (self._clock.now() - EPOCH) // timedelta(microseconds=1) * 1_000
        self._last_ns = max(self._last_ns, now)
        return self._last_ns


def open_node(
    folder: Path,
    clock: Clock,
    *,
    grace_s: float = GRACE_S,
    prices: PriceSource = no_prices,
    wal_file_bytes: int = FILE_BYTES,
) -> LakeNode:
    """Open a lake for writing and replay what its log holds.

    Args:
        folder: The lake folder; created.
        clock: The time.
        grace_s: Quiet time after a root before its task is folded, seconds.
        prices: Where the price of a model call is asked.
        wal_file_bytes: Size of a log file.

    Returns:
        A started node; call `stop(drain=...)` at the end.

    Raises:
        Conflict: Another process writes this lake.
        StorageUnavailable: Its tables cannot be read.
    """
    node = LakeNode(folder, clock, grace_s=grace_s, prices=prices, wal_file_bytes=wal_file_bytes)
    node.start()
    return node


def _done(receipt: Receipt) -> Future[Receipt]:
    answer: Future[Receipt] = Future()
    answer.set_result(receipt)
    return answer


def _node_id(folder: Path) -> str:
    """Return this lake folder's node id, made once."""
    path = folder / "node_id"
    if path.exists():
        return path.read_text().strip()
    made = secrets.token_hex(4)
    path.write_text(made)
    return made
