# SPDX-License-Identifier: Apache-2.0
"""The file of the run log: tables of runs, events and sealed pieces in SQLite, read by any process while one writes.

One transaction holds a group of events with their pieces, so there is no event without its content. The hash over
each event and the one before it is checked at every read; a run is read up to its last good event, never beyond.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse.core.evidence.run_log import (
    Event,
    IdentitySource,
    ModelRequest,
    RunClosed,
    RunOpened,
    RunState,
    Tap,
)
from pilothouse.runtime.runlog.coding import BodyReference, encode_event
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.segments import cut
from pilothouse.runtime.runlog.vault import ContentKey, KeyVault

__all__ = ["Pending", "RunFile", "chained", "connect"]

RUNS_CACHED_MAX = 1_024
"""Runs whose pieces are remembered while they go on; a forgotten one stores its next body whole."""

BASES_MAX = 8
"""Bodies of a run that the next one may begin like: sub-agents each have their own conversation."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    run TEXT PRIMARY KEY, agent TEXT NOT NULL, version TEXT, identity TEXT NOT NULL, state TEXT NOT NULL,
    opened_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, events INTEGER NOT NULL, calls INTEGER NOT NULL,
    bodies INTEGER NOT NULL, lost INTEGER NOT NULL, draws INTEGER NOT NULL, taps TEXT NOT NULL, subject TEXT NOT NULL,
    head TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_opened ON run (opened_ns);
CREATE INDEX IF NOT EXISTS run_subject ON run (subject);
CREATE TABLE IF NOT EXISTS event (
    run TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL,
    tap TEXT NOT NULL, call TEXT NOT NULL, digest TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS piece (
    run TEXT NOT NULL, address BLOB NOT NULL, content BLOB NOT NULL, PRIMARY KEY (run, address)
) WITHOUT ROWID;
"""

_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

TRUST = tuple(IdentitySource)
"""Sources of identity, the most trusted first."""


@dataclass(slots=True, kw_only=True)
class Pending:
    """An event that waits to be written."""

    run: str
    event: Event
    call: str
    tap: Tap
    at_ns: int
    mono_ns: int
    size: int


@dataclass(slots=True, kw_only=True)
class _Bodies:
    """What is remembered of the bodies of a run that goes on."""

    pieces: dict[bytes, tuple[bytes, bytes | None]] = field(default_factory=dict)
    """Digest of a piece as it came → its address, and what is kept of it where a secret was in it."""
    recent: OrderedDict[int, tuple[bytes, ...]] = field(default_factory=OrderedDict)


@dataclass(slots=True, kw_only=True)
class _Head:
    """The row of a run while a group is written."""

    agent: str
    version: str | None
    identity: str
    state: str
    opened_ns: int
    last_ns: int
    events: int
    calls: int
    bodies: int
    lost: int
    draws: int
    taps: str
    subject: str
    head: str


@dataclass(slots=True)
class _Rows:
    """What one group writes."""

    heads: dict[str, _Head] = field(default_factory=dict)
    events: list[tuple[object, ...]] = field(default_factory=list)
    pieces: list[tuple[str, bytes, bytes]] = field(default_factory=list)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for one thread at a time; writers of several processes wait for each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    return connection


def chained(previous: str, *parts: object) -> str:
    """Return the digest of an event that follows one with digest `previous`."""
    line = _LINE.encode([previous, *parts])
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


class RunFile:
    """Writes groups of events; one transaction and one sync each."""

    def __init__(self, path: Path, vault: KeyVault, redaction: Redaction) -> None:
        """Open the file at `path`."""
        self._connection = connect(path)
        self._vault = vault
        self._redaction = redaction
        self._lock = threading.Lock()
        self._bodies: OrderedDict[str, _Bodies] = OrderedDict()

    def write(self, group: Sequence[Pending], lost: dict[str, int]) -> None:
        """Write events in order, all or none, and count lost ones of runs.

        Raises:
            sqlite3.Error: Nothing was written.
        """
        with self._lock:
            self._make_keys(group)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                rows = _Rows()
                for pending in group:
                    self._write_one(pending, rows)
                self._save(rows)
                for run, count in lost.items():
                    self._connection.execute("UPDATE run SET lost = lost + ? WHERE run = ?", (count, run))
                self._connection.execute("COMMIT")
            except BaseException:
                self._bodies.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _make_keys(self, group: Sequence[Pending]) -> None:
        subjects = {
            pending.event.subject or pending.run for pending in group if isinstance(pending.event, RunOpened)
        }
        if subjects:
            self._vault.make(subjects)

    def _head(self, pending: Pending, heads: dict[str, _Head]) -> tuple[_Head, bool]:
        """Return the row of a run, and whether it was there before this event."""
        known = heads.get(pending.run)
        if known is not None:
            return known, True
        row = self._connection.execute(
            "SELECT agent, version, identity, state, opened_ns, last_ns, events, calls, bodies, lost, draws, taps, "
            "subject, head FROM run WHERE run = ?",
            (pending.run,),
        ).fetchone()
        if row is not None:
            names = _Head.__slots__
            head = _Head(**dict(zip(names, row, strict=True)))
            heads[pending.run] = head
            return head, True
        opened = pending.event if isinstance(pending.event, RunOpened) else RunOpened(agent="unknown")
        subject = opened.subject or pending.run
        self._vault.make({subject})
        head = heads[pending.run] = _Head(
            agent=opened.agent,
            version=opened.version,
            identity=opened.identity,
            state=RunState.OPEN,
            opened_ns=pending.at_ns,
            last_ns=pending.at_ns,
            events=0,
            calls=0,
            bodies=0,
            lost=0,
            draws=0,
            taps=",".join(opened.taps),
            subject=subject,
            head="",
        )
        return head, False

    def _write_one(self, pending: Pending, rows: _Rows) -> None:
        head, was_there = self._head(pending, rows.heads)
        event = pending.event
        if isinstance(event, RunOpened) and was_there:
            self._join(head, event)
            return
        key = self._vault.key(head.subject)
        data = encode_event(event, lambda content: self._store(pending.run, head, key, content, rows.pieces))
        head.events += 1
        head.last_ns = max(head.last_ns, pending.at_ns)
        head.calls += isinstance(event, ModelRequest)
        head.draws += event.kind == "draw"
        if isinstance(event, RunClosed):
            head.state = event.state
        elif head.state == RunState.ABANDONED:
            head.state = RunState.OPEN
        row = (event.kind, pending.at_ns, pending.mono_ns, str(pending.tap), pending.call)
        head.head = chained(head.head, pending.run, head.events, *row, data)
        rows.events.append((pending.run, head.events, *row, head.head, data))

    @staticmethod
    def _join(head: _Head, again: RunOpened) -> None:
        """Another tap saw the run begin too: what it knows more is kept, the weakest identity stands."""
        head.version = head.version or again.version
        if head.agent == "unknown":
            head.agent = again.agent
        head.taps = ",".join(sorted({*filter(None, head.taps.split(",")), *again.taps}))
        if TRUST.index(IdentitySource(again.identity)) > TRUST.index(IdentitySource(head.identity)):
            head.identity = again.identity

    def _store(
        self,
        run: str,
        head: _Head,
        key: ContentKey | None,
        content: bytes,
        pieces: list[tuple[str, bytes, bytes]],
    ) -> BodyReference:
        """Redact, seal and keep the pieces of a content field that are not there yet."""
        head.bodies += 1
        if key is None:  # the subject was erased a moment ago: nothing of it is kept
            return BodyReference(
                base=None, keep=0, then=(), number=head.bodies, digest=b"", size=len(content)
            )
        known = self._known(run)
        addresses: list[bytes] = []
        whole: list[bytes] = []
        for piece in cut(content):
            raw = hashlib.blake2b(piece, digest_size=16).digest()
            found = known.pieces.get(raw)
            if found is None:
                clean = self._redaction.apply(piece)
                address = key.address(clean)
                found = known.pieces[raw] = (address, None if clean == piece else clean)
                pieces.append((run, address, key.seal(address, clean)))
            addresses.append(found[0])
            whole.append(piece if found[1] is None else found[1])
        joined = b"".join(whole)
        base, keep = _longest_beginning(known.recent, addresses)
        known.recent[head.bodies] = tuple(addresses)
        if len(known.recent) > BASES_MAX:
            known.recent.popitem(last=False)
        return BodyReference(
            base=base,
            keep=keep,
            then=tuple(addresses[keep:]),
            number=head.bodies,
            digest=key.address(joined),
            size=len(joined),
        )

    def _known(self, run: str) -> _Bodies:
        known = self._bodies.get(run)
        if known is None:
            known = self._bodies[run] = _Bodies()
            if len(self._bodies) > RUNS_CACHED_MAX:
                self._bodies.popitem(last=False)
        else:
            self._bodies.move_to_end(run)
        return known

    def _save(self, rows: _Rows) -> None:
        names = _Head.__slots__
        self._connection.executemany(
            "INSERT INTO piece (run, address, content) VALUES (?,?,?) ON CONFLICT DO NOTHING", rows.pieces
        )
        self._connection.executemany(
            "INSERT INTO event (run, seq, kind, at_ns, mono_ns, tap, call, digest, data) VALUES (?,?,?,?,?,?,?,?,?)",
            rows.events,
        )
        self._connection.executemany(
            f"INSERT OR REPLACE INTO run (run, {', '.join(names)}) VALUES ({', '.join('?' * (len(names) + 1))})",  # noqa: S608 - names of our own fields
            [(run, *(getattr(head, name) for name in names)) for run, head in rows.heads.items()],
        )


def _longest_beginning(
    recent: OrderedDict[int, tuple[bytes, ...]], addresses: list[bytes]
) -> tuple[int | None, int]:
    """Find the earlier body that shares the most pieces at the beginning."""
    best: int | None = None
    most = 0
    for number, earlier in reversed(recent.items()):
        shared = 0
        for mine, theirs in zip(addresses, earlier, strict=False):
            if mine != theirs:
                break
            shared += 1
        if shared > most:
            best, most = number, shared
    return best, most
