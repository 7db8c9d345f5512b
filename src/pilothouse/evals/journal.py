# SPDX-License-Identifier: Apache-2.0
"""The record of every trial and score, in one SQLite file: durable when committed, committed in groups.

Totals are always computed from rows and never kept beside them. One writer thread commits every 10 ms
or 256 rows; one process at a time writes, guarded by a file lock that dies with its process.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import queue
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from pilothouse.errors import Conflict, InfrastructureError, StorageFull, StorageUnavailable
from pilothouse.evals.journal_schema import SCHEMA, SCHEMA_VERSION
from pilothouse.evals.score import Score, ScoreStatus, Unscored
from pilothouse.evals.trial import Reply, Result, ToolCall, TrialStatus

__all__ = ["BACKLOG_ROWS_MAX", "ConfigRow", "Journal", "RunRow", "StoredScore", "StoredTrial"]

COMMIT_EVERY_S: Final = 0.010
COMMIT_ROWS_MAX: Final = 256
BACKLOG_ROWS_MAX: Final = 10_000
"""Uncommitted rows kept in memory; beyond it no trial is started."""

INLINE_BYTES_MAX: Final = 64 * 1024
"""A larger reply lies in a file of its own, named by its digest."""

RETRY_S: Final = 60.0
"""How long a full or locked disk is tried again before the run ends with what was saved."""

RETRY_PAUSE_S: Final = 0.25
KEYS_IN_QUERY_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """A finished trial as the journal has it.

    Attributes:
        key: Trial key.
        result: How it ended.
    """

    key: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """A score as the journal has it.

    Attributes:
        key: Trial key.
        case_hash: Expectation it was scored against.
        version: Version of the scorer.
        score: The score.
    """

    key: str
    case_hash: str
    version: str
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run of the gate or of `eval run`.

    Attributes:
        run_id: Made from its plan, so the same command is the same run.
        dataset: Digest of the dataset.
        candidate: Version that was run.
        document: JSON text of the plan.
        at: When it started, ISO 8601 UTC.
        verdict: JSON text of its verdict, or None while there is none.
    """

    run_id: str
    dataset: str
    candidate: str
    document: str
    at: str
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """What a config digest stands for.

    Attributes:
        digest: Config digest.
        version: Version digest.
        address: Where it was run.
        environment: JSON text of what else decides a trial.
    """

    digest: str
    version: str
    address: str
    environment: str


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    row: tuple[Any, ...]
    blob: tuple[str, bytes] | None = None
    barrier: Future[None] | None = None


class Journal:
    """An open journal; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or make the file and take its lock.

        Args:
            path: The SQLite file.

        Raises:
            Conflict: Another process writes it.
            StorageUnavailable: It cannot be opened, or a newer program made it.
        """
        self.path = path
        self.written = 0
        self.committed = 0
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._failure: InfrastructureError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _take_lock(path)
            self._writer = _connect(path)
            self._reader = _connect(path)
        except (OSError, sqlite3.Error) as error:
            raise StorageUnavailable(
                f"cannot open the journal {str(path)!r}: {error}.",
                remedy="Give another file with --journal FILE.",
                subject=str(path),
            ) from error
        self._thread = threading.Thread(target=self._write_all, name="pilothouse-journal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def backlog(self) -> int:
        """Rows given and not yet committed."""
        return self.written - self.committed

    def check(self) -> None:
        """Raise what the writer ran into, if anything.

        Raises:
            StorageFull: The disk stayed full.
            StorageUnavailable: The file could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def put_config(self, digest: str, *, version: str, address: str, environment: str, at: str) -> None:
        """Store what a config digest stands for."""
        self._put(
            "INSERT OR IGNORE INTO config VALUES (?, ?, ?, ?, ?)", (digest, version, address, environment, at)
        )

    def put_run(self, run: RunRow) -> None:
        """Store that a run began; the same run again changes nothing."""
        self._put(
            "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?, NULL)",
            (run.run_id, run.dataset, run.candidate, run.document, run.at),
        )

    def end_run(self, run_id: str, verdict: str) -> None:
        """Store the verdict of a run, as JSON text."""
        self._put("UPDATE run SET verdict = ? WHERE id = ?", (verdict, run_id))

    def put_started(self, key: str, *, config: str, case_id: str, input_hash: str, index: int) -> None:
        """Store that a trial is being started, before its target is called."""
        self._put(
            "INSERT INTO trial (key, config, case_id, input_hash, k, attempt, status) VALUES (?, ?, ?, ?, ?, 1, 'running')"
            " ON CONFLICT (key) DO UPDATE SET attempt = attempt + 1, status = 'running'",
            (key, config, case_id, input_hash, index),
        )

    def put_result(self, key: str, result: Result, *, run_id: str) -> None:
        """Store how a trial ended."""
        text = _reply_text(result.reply)
        blob: tuple[str, bytes] | None = None
        if text is not None and len(text) > INLINE_BYTES_MAX:
            body = text.encode()
            blob = (hashlib.sha256(body).hexdigest(), body)
        self._put(
            "UPDATE trial SET status = ?, reply = ?, blob = ?, latency_s = ?, cost_usd = ?, error = ?, run = ?"
            " WHERE key = ?",
            (
                result.status.value,
                None if blob else text,
                blob[0] if blob else None,
                result.latency_s,
                result.reply.cost_usd if result.reply else None,
                result.error,
                run_id,
                key,
            ),
            blob,
        )

    def put_score(self, key: str, *, case_hash: str, name: str, version: str, score: Score) -> None:
        """Store one score."""
        self._put(
            "INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                case_hash,
                version,
                name,
                score.value,
                score.why.value if score.why else None,
                score.reason,
                score.cost_usd,
            ),
        )

    def put_look(self, run_id: str, number: int, document: str) -> None:
        """Store what a look saw and decided, as JSON text."""
        self._put("INSERT OR REPLACE INTO look VALUES (?, ?, ?)", (run_id, number, document))

    async def settled(self) -> None:
        """Wait until everything given so far is committed.

        Raises:
            StorageFull: The disk stayed full.
            StorageUnavailable: The file could not be written.
        """
        barrier: Future[None] = Future()
        self._queue.put(_Write("", (), barrier=barrier))
        await asyncio.wrap_future(barrier)
        self.check()

    def trials(self, keys: Iterable[str]) -> Iterator[StoredTrial]:
        """Return the finished trials among some keys; a running or infrastructure-failed one is not finished."""
        for some in _in_groups(keys):
            marks = ",".join("?" * len(some))
            rows = self._reader.execute(
                f"SELECT key, status, reply, blob, latency_s, error, attempt FROM trial WHERE key IN ({marks})"  # noqa: S608 - only question marks are inserted
                " AND status IN ('done', 'agent_error', 'timeout')",
                some,
            )
            for key, status, reply, blob, latency_s, error, attempt in rows:
                text = self._blob(blob) if blob else reply
                yield StoredTrial(
                    key=key,
                    result=Result(
                        status=TrialStatus(status),
                        reply=_read_reply(text) if status == TrialStatus.DONE else None,
                        latency_s=latency_s,
                        error=error or "",
                        attempts=attempt,
                    ),
                )

    def scores(self, keys: Iterable[str]) -> Iterator[StoredScore]:
        """Return every score of some trials."""
        for some in _in_groups(keys):
            marks = ",".join("?" * len(some))
            rows = self._reader.execute(
                f"SELECT trial, case_hash, version, value, why, reason, cost_usd FROM score WHERE trial IN ({marks})",  # noqa: S608 - only question marks are inserted
                some,
            )
            for key, case_hash, version, value, why, reason, cost_usd in rows:
                score = Score(
                    value=value,
                    status=ScoreStatus.OK if why is None else ScoreStatus.UNSCORED,
                    why=None if why is None else Unscored(why),
                    reason=reason,
                    cost_usd=cost_usd,
                )
                yield StoredScore(key=key, case_hash=case_hash, version=version, score=score)

    def interrupted(self) -> tuple[str, ...]:
        """Return the ids of cases whose trials were in flight when an earlier process ended."""
        rows = self._reader.execute("SELECT case_id FROM trial WHERE status = 'running' ORDER BY case_id")
        return tuple(row[0] for row in rows)

    def configs_of(self, version: str) -> tuple[ConfigRow, ...]:
        """Return the configs of versions that begin with these digits, newest first."""
        rows = self._reader.execute(
            "SELECT digest, version, address, environment FROM config WHERE version GLOB ? ORDER BY at DESC, digest",
            (version + "*",),
        )
        return tuple(
            ConfigRow(digest=row[0], version=row[1], address=row[2], environment=row[3]) for row in rows
        )

    def runs_on(self, dataset: str) -> tuple[RunRow, ...]:
        """Return the runs on a dataset, newest first."""
        rows = self._reader.execute(
            "SELECT id, dataset, candidate, plan, at, verdict FROM run WHERE dataset = ? ORDER BY at DESC, id",
            (dataset,),
        )
        return tuple(
            RunRow(run_id=r[0], dataset=r[1], candidate=r[2], document=r[3], at=r[4], verdict=r[5])
            for r in rows
        )

    def count(self, status: str = "done") -> int:
        """Return how many trials have a status."""
        row = self._reader.execute("SELECT count(*) FROM trial WHERE status = ?", (status,)).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Commit what was given, close the file, free the lock."""
        self._queue.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def _put(self, statement: str, row: tuple[Any, ...], blob: tuple[str, bytes] | None = None) -> None:
        self.written += 1
        self._queue.put(_Write(statement, row, blob))

    def _blob(self, digest: str) -> str:
        return (self.path.parent / "blobs" / digest).read_text(encoding="utf-8")

    def _write_all(self) -> None:
        """Commit in groups until told to stop; after a lasting failure, drop and remember."""
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            if batch[0] is not None and batch[0].barrier is None and self._queue.qsize() < COMMIT_ROWS_MAX:
                time.sleep(COMMIT_EVERY_S)
            while len(batch) < COMMIT_ROWS_MAX and not self._queue.empty():
                batch.append(self._queue.get())
            is_open = None not in batch
            writes = [one for one in batch if one is not None]
            self._commit_or_remember([one for one in writes if one.barrier is None])
            for one in writes:
                if one.barrier is not None:
                    one.barrier.set_result(None)

    def _commit_or_remember(self, writes: list[_Write]) -> None:
        if not writes or self._failure is not None:
            return
        give_up_at = time.monotonic() + RETRY_S
        while True:
            try:
                self._commit(writes)
            except (sqlite3.Error, OSError) as error:
                if time.monotonic() < give_up_at and _may_pass(error):
                    time.sleep(RETRY_PAUSE_S)
                    continue
                kind = StorageFull if "full" in str(error) or "space" in str(error) else StorageUnavailable
                self._failure = kind(
                    f"the journal cannot be written ({error}); {self.backlog} rows were not saved.",
                    remedy="Make room or give --journal FILE, then run the same command: it continues.",
                    subject=str(self.path),
                )
                return
            self.committed += len(writes)
            return

    def _commit(self, writes: list[_Write]) -> None:
        for one in writes:
            if one.blob is not None:
                _write_blob(self.path.parent / "blobs", *one.blob)
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for one in writes:
                self._writer.execute(one.statement, one.row)
            self._writer.execute("COMMIT")
        except sqlite3.Error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"made by a newer program (form {found}, this one reads {SCHEMA_VERSION})"
        )
    if found < SCHEMA_VERSION:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return connection


def _take_lock(path: Path) -> int:
    """Take the lock file; the kernel frees it when the process ends, however it ends."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
        os.close(handle)
        raise Conflict(
            f"another process writes this journal: {holder or 'unknown'}.",
            remedy="Wait for it, or give --journal FILE.",
            subject=str(path),
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return handle


def _write_blob(folder: Path, digest: str, body: bytes) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / digest
    if path.exists():
        return
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _may_pass(error: Exception) -> bool:
    """Whether the trouble is one that passes: a full disk, a lock, an I/O error; not a broken file."""
    return isinstance(error, OSError | sqlite3.OperationalError)


def _reply_text(reply: Reply | None) -> str | None:
    if reply is None:
        return None
    fields = {name: value for name, value in asdict(reply).items() if value is not None or name == "output"}
    return json.dumps(fields, ensure_ascii=False)


def _read_reply(text: str) -> Reply:
    fields = json.loads(text)
    calls = fields.pop("tool_calls", None)
    return Reply(
        tool_calls=None if calls is None else tuple(ToolCall(**one) for one in calls),
        **fields,
    )


def _in_groups(keys: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for key in keys:
        group.append(key)
        if len(group) == KEYS_IN_QUERY_MAX:
            yield group
            group = []
    if group:
        yield group
