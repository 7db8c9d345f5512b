# SPDX-License-Identifier: Apache-2.0
"""The journal of trials and scores, in one SQLite file with durable group commits.

Totals are always computed from rows and never kept beside them. One writer thread commits every 5 ms
or 256 rows; one process at a time writes, guarded by a file lock that dies with its process.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from pilothouse.errors import StorageUnavailable
from pilothouse.evals.journal_file import connect, take_lock
from pilothouse.evals.journal_rows import (
    ConfigRow,
    RunRow,
    StoredScore,
    StoredTrial,
    read_reply,
    reply_text,
)
from pilothouse.evals.journal_writer import GroupWriter
from pilothouse.evals.score import Score, ScoreStatus, Unscored
from pilothouse.evals.trial import Result, TrialStatus

__all__ = ["Journal"]

INLINE_BYTES_MAX: Final = 64 * 1024
"""A larger reply lies in a file of its own, named by its digest."""

KEYS_IN_QUERY_MAX: Final = 500

FRESH_OFFSET: Final = 10_000
"""Where repeats begin that `eval run --fresh` asks for: beyond all that a gate counts."""


class Journal:
    """An open journal; use as a context manager.

    Making one opens or creates the file and takes its lock.

    Raises:
        Conflict: Another process writes it.
        StorageUnavailable: It cannot be opened, or a newer program made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with ExitStack() as opened:  # who is refused holds neither the lock nor the file
                path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = take_lock(path)
                opened.callback(os.close, self._lock)
                self._connection = connect(path)
                opened.callback(self._connection.close)
                self._reader = connect(path)
                opened.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise StorageUnavailable(
                f"cannot open the journal {str(path)!r}: {error}.",
                remedy="Give another file with --journal FILE.",
                subject=str(path),
            ) from error
        self._writer = GroupWriter(self._connection, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_behind(self) -> bool:
        """Whether the disk lags so far behind that a trial started now might have to be repeated."""
        return self._writer.is_behind

    def check(self) -> None:
        """Raise the error of the writer, if there is one.

        Raises:
            StorageFull: The disk stayed full.
            StorageUnavailable: The file could not be written.
        """
        self._writer.check()

    def put_config(self, digest: str, *, version: str, address: str, environment: str, at: str) -> None:
        """Store what a config digest stands for."""
        self._writer.put(
            "INSERT INTO config VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE"
            " SET environment = excluded.environment, at = excluded.at WHERE config.environment = '{}'",
            (digest, version, address, environment, at),
        )

    def put_run(self, run: RunRow) -> None:
        """Store the start of a run; idempotent."""
        self._writer.put(
            "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?, NULL)",
            (run.run_id, run.dataset, run.candidate, run.document, run.at),
        )

    def end_run(self, run_id: str, verdict: str) -> None:
        """Store the verdict of a run, as JSON text."""
        self._writer.put("UPDATE run SET verdict = ? WHERE id = ?", (verdict, run_id))

    def put_started(self, key: str, *, config: str, case_id: str, input_hash: str, index: int) -> None:
        """Store the start of a trial, before its target is called."""
        self._writer.put(
            "INSERT INTO trial (key, config, case_id, input_hash, k, attempt, status) VALUES (?, ?, ?, ?, ?, 1, 'running')"
            " ON CONFLICT (key) DO UPDATE SET attempt = attempt + 1, status = 'running'",
            (key, config, case_id, input_hash, index),
        )

    def put_result(self, key: str, result: Result, *, run_id: str, at: datetime | None = None) -> None:
        """Store how a trial ended, and when the run that asked began."""
        text = reply_text(result.reply)
        blob: tuple[str, bytes] | None = None
        if text is not None and len(text) > INLINE_BYTES_MAX:
            body = text.encode()
            blob = (hashlib.sha256(body).hexdigest(), body)
        self._writer.put(
            "UPDATE trial SET status = ?, reply = ?, blob = ?, latency_s = ?, cost_usd = ?, error = ?, run = ?, at = ?"
            " WHERE key = ?",
            (
                result.status.value,
                None if blob else text,
                blob[0] if blob else None,
                result.latency_s,
                result.reply.cost_usd if result.reply else None,
                result.error,
                run_id,
                at.isoformat() if at is not None else None,
                key,
            ),
            blob,
        )

    def put_score(self, key: str, *, case_hash: str, name: str, version: str, score: Score) -> None:
        """Store one score."""
        self._writer.put(
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

    def forget_scores(self, key: str) -> None:
        """Delete the scores of a trial whose answer is replaced."""
        self._writer.put("DELETE FROM score WHERE trial = ?", (key,))

    def put_look(self, run_id: str, number: int, document: str) -> None:
        """Store the result of an interim look, as JSON text."""
        self._writer.put("INSERT OR REPLACE INTO look VALUES (?, ?, ?)", (run_id, number, document))

    async def settled(self) -> None:
        """Wait until everything given so far is committed.

        Raises:
            StorageFull: The disk stayed full.
            StorageUnavailable: The file could not be written.
        """
        await asyncio.wrap_future(self._writer.barrier())
        self.check()

    def trials(self, keys: Iterable[str]) -> Iterator[StoredTrial]:
        """Return the finished trials among some keys; a running or infrastructure-failed one is not finished."""
        for some in _in_groups(keys):
            marks = ",".join("?" * len(some))
            rows = self._reader.execute(
                f"SELECT key, status, reply, blob, latency_s, error, attempt, at FROM trial WHERE key IN ({marks})"  # noqa: S608 - only question marks are inserted
                " AND status IN ('done', 'agent_error', 'timeout')",
                some,
            )
            for key, status, reply, blob, latency_s, error, attempt, at in rows:
                text = self._blob(blob) if blob else reply
                yield StoredTrial(
                    key=key,
                    result=Result(
                        status=TrialStatus(status),
                        reply=read_reply(text) if status == TrialStatus.DONE else None,
                        latency_s=latency_s,
                        error=error or "",
                        attempts=attempt,
                    ),
                    at=datetime.fromisoformat(at) if at else None,
                )

    def scores(self, keys: Iterable[str]) -> Iterator[StoredScore]:
        """Return every score of some trials."""
        for some in _in_groups(keys):
            marks = ",".join("?" * len(some))
            rows = self._reader.execute(
                f"SELECT trial, case_hash, version, name, value, why, reason, cost_usd FROM score WHERE trial IN ({marks})",  # noqa: S608 - only question marks are inserted
                some,
            )
            for key, case_hash, version, name, value, why, reason, cost_usd in rows:
                score = Score(
                    value=value,
                    status=ScoreStatus.OK if why is None else ScoreStatus.UNSCORED,
                    why=None if why is None else Unscored(why),
                    reason=reason,
                    cost_usd=cost_usd,
                )
                yield StoredScore(key=key, case_hash=case_hash, version=version, name=name, score=score)

    def fresh_index(self, config: str) -> int:
        """Return the first index of repeats that no run of a config has used: what is asked again takes nobody's place."""
        found = self._reader.execute("SELECT max(k) FROM trial WHERE config = ?", (config,)).fetchone()[0]
        return 0 if found is None else max(FRESH_OFFSET, found + 1)

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
        """Commit all rows, close the file, release the lock."""
        self._writer.close()
        self._reader.close()
        self._connection.close()
        os.close(self._lock)

    def _blob(self, digest: str) -> str:
        return (self.path.parent / "blobs" / digest).read_text(encoding="utf-8")


def _in_groups(keys: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for key in keys:
        group.append(key)
        if len(group) == KEYS_IN_QUERY_MAX:
            yield group
            group = []
    if group:
        yield group
