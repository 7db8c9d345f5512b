# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the tables: flattens durable requests, runs maintenance jobs, and survives every fault."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pilothouse.errors import PilothouseError, StorageUnavailable
from pilothouse.lake.backlog import Backlog
from pilothouse.lake.counters import Counters
from pilothouse.lake.freshness import Freshness
from pilothouse.lake.inflate import inflate
from pilothouse.lake.node_clock import NodeClock
from pilothouse.lake.otlp_request import ParsedRequest, parse_request
from pilothouse.lake.wal_record import WalRecord
from pilothouse.lake.writer import LakeWriter

__all__ = ["TableThread"]

RETRY_S = 0.05
"""Pause after a commit that failed."""

STOP_S = 30.0
"""How long the thread may take to finish when the node stops."""

LOOK_S = 0.5
"""How often somebody who waits for it looks whether the thread still runs."""


@dataclass(slots=True)
class _Job:
    """A job for this thread, and its result."""

    work: Callable[[], Any]
    done: threading.Event
    result: Any = None
    fault: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as fault:
            self.fault = fault
            raise


class TableThread:
    """Processes durable requests in the order of the log.

    Args:
        writer: The tables; nobody else calls what changes them while the thread runs.
        backlog: Told what has been flattened.
        counters: Where faults are counted.
        clock: The time.
        aside: Folder for requests that cannot be flattened.
        on_committed: Told the log number up to which everything is in the tables, after each request.

    Attributes:
        freshness: How long it takes until what came can be seen.
        last_error: What went wrong last, or empty.
    """

    def __init__(
        self,
        writer: LakeWriter,
        *,
        backlog: Backlog,
        counters: Counters,
        clock: NodeClock,
        aside: Path,
        on_committed: Callable[[int], object],
    ) -> None:
        self._writer = writer
        self._backlog = backlog
        self._counters = counters
        self._clock = clock
        self._aside = aside
        self._on_committed = on_committed
        self._road: queue.SimpleQueue[tuple[WalRecord, ParsedRequest | None] | _Job | None] = (
            queue.SimpleQueue()
        )
        self.freshness = Freshness()
        self.last_error = ""
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="pilothouse-lake", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether the thread runs and accepts requests."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def stop(self) -> None:
        """Commit everything received so far, and end."""
        self._is_stopping = True
        self._road.put(None)
        self._thread.join(STOP_S)

    def put(self, record: WalRecord, request: ParsedRequest | None) -> None:
        """Enqueue a durable request.

        Args:
            record: Its record in the log.
            request: Its parsed form; read from the record when None.
        """
        self._road.put((record, request))

    def ask(self, work: Callable[[], Any], *, raises: bool = False) -> Any:
        """Run a job after all queued requests, and wait for its result.

        Args:
            work: What to do.
            raises: Whether its fault is the caller's too.

        Returns:
            What the work returned; None when it failed or the thread has ended.

        Raises:
            BaseException: The work's own, if `raises`.
            StorageUnavailable: The thread has ended, if `raises`: nothing was done.
        """
        job = _Job(work, threading.Event())
        self._road.put(job)
        while not job.done.wait(LOOK_S):
            if not self._thread.is_alive():
                if raises:
                    raise StorageUnavailable(
                        "nobody writes the tables any more", remedy="Start `pilothouse up` again."
                    )
                return None
        if raises and job.fault is not None:
            raise job.fault
        return job.result

    def take(self, record: WalRecord, request: ParsedRequest | None) -> None:
        """Flatten one request; on failure it is quarantined with its fault, never dropped.

        Args:
            record: Its record in the log.
            request: Its parsed form; read from the record when None.

        Raises:
            StorageUnavailable: It could not even be set aside; nothing that came later may overtake it.
        """
        try:
            if request is None:
                body = inflate(record.body) if record.is_gzip else record.body
                request = parse_request(record.signal, record.encoding, body)
            self._writer.take(record, request)
        except Exception:  # noqa: BLE001 - a defect of ours: the request is kept aside and the intake goes on
            self._set_aside(record, traceback.format_exc())
            self._counters.add("quarantined", record.items - record.rejected)
            self._writer.skip(record.seq)

    def _set_aside(self, record: WalRecord, fault: str) -> None:
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
            (self._aside / f"{record.seq:020d}.record").write_bytes(b"".join(record.to_bytes()))
            (self._aside / f"{record.seq:020d}.txt").write_text(fault, errors="replace")
        except OSError as error:
            raise StorageUnavailable(
                f"a request that cannot be read could not be set aside: {error}",
                remedy=f"Check the folder {self._aside} and the disk.",
                subject=str(self._aside),
            ) from error

    def _run(self) -> None:
        while True:
            try:
                item = self._road.get(timeout=self._writer.seconds_to_next())
            except queue.Empty:
                self._guard(self._writer.tick)
                self._note_freshness()
                self._on_committed(self._writer.committed_seq)
                continue
            if item is None:
                self._guard(self._writer.flush)
                return
            if isinstance(item, _Job):
                self._guard(item.run)
                item.done.set()
                continue
            record, request = item
            self.freshness.note_received(record.received_ns)
            while not self._guard(partial(self.take, record, request)):
                if self._is_stopping:  # it and what came later stay in the log
                    self._guard(self._writer.flush)
                    return
            size = request.size if request is not None else 0
            self._backlog.add(record.source, -size, record.rejected - record.items)
            if self._road.empty() or self._writer.is_full:
                self._guard(self._writer.tick)
            self._note_freshness()
            self._on_committed(self._writer.committed_seq)

    def _note_freshness(self) -> None:
        if not self._writer.rows_hidden:
            self.freshness.note_visible(self._clock.now_ns())

    def _guard(self, work: Callable[[], object]) -> bool:
        """Run a step of the writer; after a disk failure rows stay in memory and the step is retried.

        Returns:
            Whether it went well.
        """
        try:
            work()
        except PilothouseError as error:
            self._counters.add("commit_failures")
            self.last_error = str(error)
            time.sleep(RETRY_S)
        except BaseException:  # noqa: BLE001 - neither a defect of ours nor a panic below deltalake may end the intake
            self._counters.add("defects")
            self.last_error = traceback.format_exc(limit=20)
        else:
            return True
        return False
