# SPDX-License-Identifier: Apache-2.0
"""The one process that writes a lake: ingests OTLP, stores it, folds it, and answers queries.

Path of a request: `accept` checks a request and appends it to the log; the thread of the tables flattens what is on the disk,
feeds the assembler, shows rows from memory at once and commits them as segments.
"""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from pilothouse.durable_file import replace_file
from pilothouse.errors import PilothouseError
from pilothouse.lake.assembler import GRACE_S
from pilothouse.lake.backlog import Backlog
from pilothouse.lake.counters import Counters
from pilothouse.lake.free_space import FreeSpace
from pilothouse.lake.lock import WriterLock
from pilothouse.lake.node_clock import NodeClock, boot_s
from pilothouse.lake.otlp_request import ParsedRequest
from pilothouse.lake.prices import PriceSource, no_prices
from pilothouse.lake.queries import LakeQueries
from pilothouse.lake.quota import Quota, Quotas
from pilothouse.lake.request_check import Checked, check_request
from pilothouse.lake.table_thread import TableThread
from pilothouse.lake.view import Database
from pilothouse.lake.wal import FILE_BYTES, Wal
from pilothouse.lake.wal_record import WalRecord, read_folder
from pilothouse.lake.writer import CORRECTED_AT_ONCE, MERGE_LOOK_S, REBUILT, LakeWriter
from pilothouse.ports.clock import Clock
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal
from pilothouse.ports.lake import LakeHealth
from pilothouse.ports.upkeep import Removed, RetentionRule

__all__ = ["LakeNode", "open_node"]

YOUNG_OBJECTS_MAX = 200_000
"""Objects after which the garbage collector looks for cycles. Rows make none; its default of 700 costs a
tenth of the intake, and at 100,000 the rows of one segment and its open traces still make it stop for 0.1 s."""

UNCOMMITTED_S_MAX = 300.0
"""Rows that could not be committed for so long mean a broken disk: nothing more is promised."""

UNBOUNDED = Quota()


class LakeNode(LakeQueries):
    """Implements `Intake` and `Lake` for the process that holds the lake's lock.

    Args:
        folder: The lake folder.
        clock: The time.
        grace_s: Quiet time after a root before its task is folded, seconds.
        prices: Where the price of a model call is asked.
        wal_file_bytes: Size of a log file.
        quota: What each ingest key may send.
        elapsed_s: A clock that nobody sets, seconds.
        merge_look_s: How often it is looked whether small files are worth merging, seconds.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        grace_s: float = GRACE_S,
        prices: PriceSource = no_prices,
        wal_file_bytes: int = FILE_BYTES,
        quota: Quota = UNBOUNDED,
        elapsed_s: Callable[[], float] = boot_s,
        merge_look_s: float = MERGE_LOOK_S,
    ) -> None:
        self._lock = WriterLock(folder)
        self.counters = Counters()
        self._clock = NodeClock(clock, lambda: self.counters.add("clock_jumps"), elapsed_s)
        self._database = Database()
        self._node_id = _node_id(folder)
        self._writer = LakeWriter(
            folder,
            node_id=self._node_id,
            database=self._database,
            clock=self._clock,
            counters=self.counters,
            prices=prices,
            grace_s=grace_s,
            merge_look_s=merge_look_s,
        )
        super().__init__(self._writer.view, self._database)
        self._quotas = Quotas(quota, time.monotonic)
        self._backlog = Backlog()
        self._wal_folder = folder / "wal" / self._node_id
        self._tables = TableThread(
            self._writer,
            backlog=self._backlog,
            counters=self.counters,
            clock=self._clock,
            aside=self._wal_folder / "quarantine",
            on_committed=self._trim,
        )
        self._rows_at_start = 0
        self._disk = FreeSpace(folder)
        self._is_open = False
        self._wal_file_bytes = wal_file_bytes
        self._wal: Wal | None = None
        self._collector = gc.get_threshold()

    # Life

    def start(self) -> None:
        """Replay logged requests that are in no table, then accept requests."""
        committed = self._writer.recover()
        self._tables.last_error = self._writer.start_fault
        last = committed
        for record in read_folder(self._wal_folder, self._on_damage):
            last = max(last, record.seq)
            if record.seq > committed:
                self.counters.add("replayed", record.items - record.rejected)
                self._tables.take(record, None)
                self._writer.commit_if_due()
        self._writer.flush()
        counted = self.counters.read()
        self._rows_at_start = self._writer.rows() - (
            counted["replayed"] - counted["deduplicated"] - counted["quarantined"]
        )
        self._wal = Wal(
            self._wal_folder, next_seq=last + 1, on_durable=self._on_durable, file_bytes=self._wal_file_bytes
        )
        self._wal.trim(self._writer.committed_seq)
        self._wal.start()
        self._tables.start()
        self._collector = gc.get_threshold()
        gc.set_threshold(YOUNG_OBJECTS_MAX, *self._collector[1:])
        self._is_open = True

    def stop(self, *, drain: bool = False) -> None:
        """Stop accepting, finish acknowledged requests, fold traces whose root has arrived, commit, release the lock.

        Args:
            drain: Fold also the traces whose root has not come, as incomplete.
        """
        self._is_open = False
        if self._wal is not None:
            self._wal.stop()
            self.settle(also_rootless=drain)
            self._tables.stop()
            gc.set_threshold(*self._collector)
            self._wal.trim(self._writer.committed_seq)
        self._database.close()
        self._lock.release()

    def announce(self, address: str) -> None:
        """Write into the lock file where this process accepts OTLP, for other processes of this home."""
        self._lock.announce(address)

    # Intake

    def accept(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Receipt:
        """Ingest one request; durable when this returns `ACCEPTED`."""
        return self.submit(
            signal, content_type=content_type, content_encoding=content_encoding, body=body, source=source
        ).result()

    def submit(
        self, signal: Signal, *, content_type: str, content_encoding: str, body: bytes, source: str
    ) -> Future[Receipt]:
        """Validate one request and append it to the log; the future is done when it is durable or refused.

        Args:
            signal: Which of the three services it was sent to.
            content_type: `application/x-protobuf` or `application/json`.
            content_encoding: Empty, `identity` or `gzip`.
            body: The body as received.
            source: Id of the ingest key or place it came from.
        """
        self.counters.add(f"requests_{signal.value}")
        self.counters.add("wire_bytes", len(body))
        checked = self._refusal(source) or check_request(
            signal, content_type=content_type, content_encoding=content_encoding, body=body
        )
        if isinstance(checked, Receipt):
            self.counters.add(f"refused_{checked.answer.value}")
            return _done(checked)
        request = checked.request
        self._quotas.spend(source, items=request.items, size=len(body))
        if request.signal is Signal.METRICS:  # no part of the books: nothing of them is kept
            self.counters.add("metrics_not_stored", request.items)
            return _done(Receipt(answer=IntakeAnswer.ACCEPTED, items=request.items))
        rejected = len(request.bad)
        receipt = Receipt(
            answer=IntakeAnswer.ACCEPTED, items=request.items, rejected=rejected, reason=request.reason
        )
        self.counters.add("received", request.items)
        self.counters.add("rejected", rejected)
        if not request.items:
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
        if checked.had_secrets:
            self.counters.add("secrets_removed")
        return self._append(self._wal, checked, source=source, receipt=receipt)

    def has_room(self, source: str, coming: int) -> bool:
        """Return whether the backlog leaves room for another request of a key.

        Args:
            source: Id of the ingest key; one alone may fill half of the room.
            coming: Bytes that are being read and do not wait yet.
        """
        return self._backlog.has_room(source, coming)

    def settle(self, *, also_rootless: bool = False) -> None:
        """Close every trace whose root has ended without waiting for late spans, and commit.

        Args:
            also_rootless: Close the others too, as incomplete.
        """
        self._tables.ask(partial(self._writer.settle, also_rootless=also_rootless))

    # Upkeep

    def retain(self, rules: Sequence[RetentionRule]) -> Sequence[Removed]:
        """Delete telemetry past its retention; idempotent.

        Args:
            rules: One for each agent that has its own.

        Raises:
            StorageUnavailable: The tables could not be written.
        """
        return tuple(self._tables.ask(partial(self._writer.retain, rules), raises=True) or ())

    def erase(self, traces: Sequence[str]) -> int:
        """Erase content from the rows of some traces; return how many rows were changed.

        Args:
            traces: Trace ids; what comes later for them is kept.

        Raises:
            StorageUnavailable: The tables could not be written.
        """
        return int(self._tables.ask(partial(self._writer.erase, traces), raises=True) or 0)

    def purge(self) -> None:
        """Delete at once what `erase` and retention took out of the tables, which a running node keeps a day for readers.

        Raises:
            StorageUnavailable: A file could not be deleted.
        """
        self._tables.ask(self._writer.purge, raises=True)

    def reprice(self, *, since_ns: int) -> int:
        """Fold tasks again whose cost has become known; return how many were corrected.

        Args:
            since_ns: Start of the windows that are still open, Unix nanoseconds.

        Raises:
            StorageUnavailable: The tables could not be written.
        """
        ids = self._tables.ask(partial(self._writer.to_price, since_ns), raises=True) or []
        return self._refold(self._writer.refold, ids)

    def late_tasks(self) -> tuple[str, ...]:
        """Return the sealed tasks for which spans arrived later that their rows do not include.

        Raises:
            LimitExceeded: The lake holds more spans than one query looks through in its time.
            StorageUnavailable: The tables could not be read.
        """
        return tuple(self._tables.ask(self._writer.late_tasks, raises=True) or ())

    def rebuild(self, trace_ids: Sequence[str]) -> int:
        """Fold sealed tasks again from everything stored of them; return how many changed.

        Args:
            trace_ids: What `late_tasks` returned.

        Raises:
            StorageUnavailable: The tables could not be written.
        """
        return self._refold(partial(self._writer.refold, reason=REBUILT), trace_ids)

    def _refold(self, work: Callable[[Sequence[str]], int], ids: Sequence[str]) -> int:
        corrected = 0
        for start in range(0, len(ids), CORRECTED_AT_ONCE):  # between two of these requests are taken
            some = ids[start : start + CORRECTED_AT_ONCE]
            corrected += self._tables.ask(partial(work, some), raises=True) or 0
        return corrected

    # Lake

    def health(self) -> LakeHealth:
        """Return the health of the ingestion pipeline, with the balance that proves that nothing was lost."""
        counted = self.counters.read()
        rows = self._writer.rows()
        came = self._rows_at_start + counted["acked"] + counted["replayed"]
        went = rows + counted["deduplicated"] + counted["quarantined"] + counted["expired"]
        return LakeHealth(
            counters=tuple(sorted(counted.values.items())),
            rows=rows,
            pending=self._backlog.items + self._writer.rows_hidden,
            gap=came - went - self._backlog.items - self._writer.rows_hidden,
            open_traces=self._writer.open_traces,
            waiting_bytes=self._backlog.size_bytes,
            uncommitted_s=self._writer.uncommitted_s,
            freshness_s=self._tables.freshness.longest_s(self._clock.now_ns()),
            wal_bytes=0 if self._wal is None else self._wal.size_bytes,
            disk_free_bytes=self._disk.free_bytes,
            busy_reason=self._busy_reason(),
            last_error=self._tables.last_error,
        )

    # Inside

    def _refusal(self, source: str) -> Receipt | None:
        """Return why a request of this key is refused before its body is read; None when it is accepted."""
        busy = self._busy_reason()
        if not busy and not self.has_room(source, 0):
            busy = "more of this key is waiting than can be taken in now"
        if busy:
            return Receipt(answer=IntakeAnswer.BUSY, reason=busy)
        wait_s = self._quotas.wait_s(source)
        if wait_s:
            reason = f"this ingest key has sent all it may; it may go on in {wait_s} s"
            return Receipt(answer=IntakeAnswer.OVER_QUOTA, reason=reason, retry_after_s=wait_s)
        return None

    def _busy_reason(self) -> str:
        """Return why no request is accepted now, or empty; every reason asks the sender to retry."""
        if not self._is_open or self._wal is None:
            return "the server is starting or stopping"
        if self._wal.is_failed:
            return "the write-ahead log cannot be synced; look at the disk"
        if not self._tables.is_running:
            return "nobody writes the tables any more; start the server again"
        if self._backlog.is_full:
            return "more is waiting than can be taken in now"
        if self._writer.uncommitted_s > UNCOMMITTED_S_MAX:
            return "the lake could not be written for minutes; look at the disk"
        try:
            has_room = self._disk.has_room
        except OSError as error:  # somebody moved or deleted it: what is sent again later is not lost
            return f"the data folder cannot be looked at ({error.strerror}); look at the disk"
        return "" if has_room else "the disk is at its floor of free space"

    def _append(self, wal: Wal, checked: Checked, *, source: str, receipt: Receipt) -> Future[Receipt]:
        request = checked.request
        received_ns = self._clock.now_ns()

        def make(seq: int) -> WalRecord:
            return WalRecord(
                seq=seq,
                signal=request.signal,
                encoding=request.encoding,
                is_gzip=checked.is_gzip,
                source=source,
                received_ns=received_ns,
                items=request.items,
                rejected=receipt.rejected,
                body=checked.body,
            )

        self._backlog.add(source, request.size, receipt.items - receipt.rejected)
        answer: Future[Receipt] = Future()
        durable = wal.append(make, request)

        def tell(done: Future[WalRecord]) -> None:
            fault = done.exception()
            if fault is None:
                answer.set_result(receipt)
            else:
                self._backlog.add(source, -request.size, receipt.rejected - receipt.items)
                reason = fault.message if isinstance(fault, PilothouseError) else "the log failed"
                answer.set_result(Receipt(answer=IntakeAnswer.BUSY, reason=reason))

        durable.add_done_callback(tell)
        return answer

    def _on_durable(self, record: WalRecord, payload: object) -> None:
        self.counters.add("acked", record.items - record.rejected)
        self._tables.put(record, payload if isinstance(payload, ParsedRequest) else None)

    def _trim(self, committed_seq: int) -> None:
        if self._wal is not None and committed_seq != self._trimmed:
            self._trimmed = committed_seq
            self._wal.trim(committed_seq)

    _trimmed = -1

    def _on_damage(self, path: Path, fault: str) -> None:
        self.counters.add("wal_corrupt")
        self._tables.last_error = f"log file {path.name} is {fault}; kept in {path.parent}"


def open_node(
    folder: Path,
    clock: Clock,
    *,
    grace_s: float = GRACE_S,
    prices: PriceSource = no_prices,
    wal_file_bytes: int = FILE_BYTES,
    quota: Quota = UNBOUNDED,
    elapsed_s: Callable[[], float] = boot_s,
    merge_look_s: float = MERGE_LOOK_S,
) -> LakeNode:
    """Open a lake for writing and replay what its log holds.

    Args:
        folder: The lake folder; created.
        clock: The time.
        grace_s: Quiet time after a root before its task is folded, seconds.
        prices: Where the price of a model call is asked.
        wal_file_bytes: Size of a log file.
        quota: What each ingest key may send.
        elapsed_s: A clock that nobody sets, seconds.
        merge_look_s: How often it is looked whether small files are worth merging, seconds.

    Returns:
        A started node; call `stop(drain=...)` at the end.

    Raises:
        Conflict: Another process writes this lake.
        StorageUnavailable: Its tables cannot be read.
    """
    node = LakeNode(
        folder,
        clock,
        grace_s=grace_s,
        prices=prices,
        wal_file_bytes=wal_file_bytes,
        quota=quota,
        elapsed_s=elapsed_s,
        merge_look_s=merge_look_s,
    )
    node.start()
    return node


def _done(receipt: Receipt) -> Future[Receipt]:
    answer: Future[Receipt] = Future()
    answer.set_result(receipt)
    return answer


def _node_id(folder: Path) -> str:
    """Return the node id of this lake folder, created once; an empty file is left by a kill between two writes."""
    path = folder / "node_id"
    known = path.read_text().strip() if path.exists() else ""
    if known:
        return known
    made = secrets.token_hex(4)
    replace_file(path, made.encode())  # the log of requests stands under this name: it must not outlive it
    return made
