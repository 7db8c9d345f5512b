# SPDX-License-Identifier: Apache-2.0
"""Writes groups of events into the file of the run log: SQLite, read by any process while one writes.

One transaction holds a group of events with their pieces, so there is no event without its content. The hash over
each event and the one before it is checked at every read; a run is read up to its last good event, never beyond.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import msgspec

from pilothouse.core.evidence.run_log import (
    Draw,
    IdentitySource,
    ModelRequest,
    RunClosed,
    RunOpened,
    RunState,
)
from pilothouse.runtime.runlog.bodies import BodyShelf
from pilothouse.runtime.runlog.coding import BodyReference, contents_of, encode_values, event_of, value_of
from pilothouse.runtime.runlog.group import Pending
from pilothouse.runtime.runlog.redaction import Redaction
from pilothouse.runtime.runlog.tables import HEAD, connect, insert_rows, rows_of, transaction
from pilothouse.runtime.runlog.vault import ContentKey, KeyVault

__all__ = ["NOBODY", "RunFile", "chained"]

NOBODY = "unknown"
"""Agent of a run of which something arrived before it was opened, until somebody opens it."""

_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_QUICK_LINE = msgspec.json.Encoder()
"""Writes the same line, byte for byte, and cannot write half a surrogate pair."""

TRUST = tuple(IdentitySource)
"""Sources of identity, the most trusted first."""

_RUN = f"run ({', '.join(HEAD)})"
_RUN_AGAIN = f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in HEAD[2:])}"
_EVENT = "event (id, seq, kind, at_ns, mono_ns, tap, call, digest, data)"
_PIECE = "piece (id, address, content)"


@dataclass(slots=True)
class _Head:
    """The row of a run while a group is written; fields as in `HEAD`."""

    id: int
    run: str
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
    key: int | None


_values = attrgetter(*HEAD)


@dataclass(slots=True)
class _Rows:
    """What one group reads and writes."""

    heads: dict[str, _Head]
    last_id: int
    events: list[tuple[object, ...]] = field(default_factory=list)
    new: dict[tuple[int, ContentKey], dict[bytes, bytes]] = field(default_factory=dict)
    """Pieces by run and by the key that encrypts them; one row for each."""


def chained(previous: str, *parts: object) -> str:
    """Return the digest of an event that follows one with digest `previous`.

    Args:
        previous: Digest of the event before, or empty.
        parts: Texts and integers.

    Example:
        >>> chained("", "run", 1) == hashlib.sha256(b'["","run",1]').hexdigest()
        True
    """
    listed = [previous, *parts]
    try:
        line = _QUICK_LINE.encode(listed)
    except (msgspec.MsgspecError, ValueError):
        line = _LINE.encode(listed).encode("utf-8", "surrogatepass")
    return hashlib.sha256(line).hexdigest()


class RunFile:
    """Writes groups of events; one transaction and one sync each.

    Attributes:
        restarts: 0, as no other process has it open for this one.
    """

    restarts = 0

    def __init__(
        self,
        path: Path,
        vault: KeyVault,
        redaction: Redaction,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the file at `path`; `give_way` is called between two pieces of work of a group."""
        self._connection = connect(path)
        self._vault = vault
        self._bodies = BodyShelf(self._connection, redaction)
        self._lock = threading.Lock()
        self._give_way = give_way

    def write(self, group: Sequence[Pending], lost: dict[str, int]) -> None:
        """Write events in order, all or none, and count lost ones of runs.

        Raises:
            sqlite3.Error: Nothing was written.
        """
        with self._lock:
            self._make_keys(group)
            self._bodies.look(content for pending in group for content in contents_of(pending.values))
            try:
                with transaction(self._connection):
                    self._write_all(group, lost)
                self._bodies.let_go()
            except BaseException:
                self._bodies.forget()
                raise

    def _write_all(self, group: Sequence[Pending], lost: dict[str, int]) -> None:
        rows = self._read(group)
        for pending in group:
            self._write_one(pending, rows)
            self._give_way()
        heads = [_values(head) for head in rows.heads.values()]
        pieces = [(run, *key.seal(new)) for (run, key), new in rows.new.items() if new]
        for into, ready, otherwise in (
            (_PIECE, pieces, ""),
            (_EVENT, rows.events, ""),
            (_RUN, heads, _RUN_AGAIN),
        ):
            insert_rows(self._connection, into, ready, otherwise, between=self._give_way)
        for run, count in lost.items():
            self._connection.execute("UPDATE run SET lost = lost + ? WHERE run = ?", (count, run))

    def has(self, group: Sequence[Pending]) -> bool:
        """Return whether a group is in the file: transactions are atomic, so one of its events tells.

        Args:
            group: Events as they were given to `write`; openings that only add to a run leave no trace, and are none.
        """
        with self._lock:
            return any(
                self._connection.execute(
                    "SELECT 1 FROM event JOIN run USING (id)"
                    " WHERE run = ? AND kind = ? AND call = ? AND at_ns = ? AND mono_ns = ?",
                    (one.run, one.values[-1], one.call, one.at_ns, one.mono_ns),
                ).fetchone()
                for one in group
            )

    def forget(self, names: Iterable[str | int]) -> None:
        """Forget the keys of subjects whose content is erased, once what is being written is on disk."""
        with self._lock:
            self._vault.forget(names)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _make_keys(self, group: Sequence[Pending]) -> None:
        """Make the keys of persons; those of runs that are their own subjects were made ahead."""
        opened = [one for one in group if one.values[-1] == RunOpened.kind]
        subjects = {(one.run, value_of(one.values, "subject")) for one in opened}
        self._vault.make({subject for run, subject in subjects if subject and subject != run})

    def _read(self, group: Sequence[Pending]) -> _Rows:
        """Return the rows that the runs of a group have, and the last number that a run has."""
        found = rows_of(self._connection, list(dict.fromkeys(pending.run for pending in group)))
        heads = [_Head(*row) for row in found]  # type: ignore[arg-type]  # as `HEAD` says
        last = self._connection.execute("SELECT max(id) FROM run").fetchone()[0]
        return _Rows({head.run: head for head in heads}, last or 0)

    def _open(self, pending: Pending, rows: _Rows) -> _Head:
        opened = _opened(pending)
        subject = opened.subject or pending.run
        number = None
        if subject == pending.run:
            number = self._vault.draw()
        else:
            self._vault.make({subject})
        rows.last_id += 1
        head = rows.heads[pending.run] = _Head(
            id=rows.last_id,
            run=pending.run,
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
            key=number,
        )
        return head

    def _write_one(self, pending: Pending, rows: _Rows) -> None:
        run, values, call, tap, at_ns, mono_ns, _ = pending
        head, kind = rows.heads.get(run), values[-1]
        if head is None:
            head = self._open(pending, rows)
        elif kind == RunOpened.kind:
            _join(head, _opened(pending))
            if self._vault.key(head.subject, head.key) is None and head.subject == head.run:
                head.key = self._vault.draw(again=True)
            return
        data = encode_values(values, lambda content: self._store(head, content, rows))
        head.events += 1
        head.last_ns = max(head.last_ns, at_ns)
        head.calls += kind == ModelRequest.kind
        head.draws += kind == Draw.kind
        if kind == RunClosed.kind:
            head.state = value_of(values, "state")
        elif head.state in {RunState.ABANDONED, RunState.CUT}:
            head.state = RunState.OPEN
        head.head = chained(head.head, run, head.events, kind, at_ns, mono_ns, tap, call, data)
        rows.events.append((head.id, head.events, kind, at_ns, mono_ns, tap, call, head.head, data))

    def _store(self, head: _Head, content: bytes, rows: _Rows) -> BodyReference:
        head.bodies += 1
        key = self._vault.key(head.subject, head.key)
        if key is None:  # the subject was erased a moment ago: nothing of it is kept
            return BodyReference(
                base=None, keep=0, then=(), number=head.bodies, digest=b"", size=len(content)
            )
        new = rows.new.setdefault((head.id, key), {})
        return self._bodies.store(head.id, head.bodies, key, content, new)


def _opened(pending: Pending) -> RunOpened:
    """Return how a run begins: one of which something else arrived first is nobody's until somebody opens it."""
    event = event_of(pending.values) if pending.values[-1] == RunOpened.kind else None
    return event if isinstance(event, RunOpened) else RunOpened(agent=NOBODY)


def _join(head: _Head, again: RunOpened) -> None:
    """Another tap saw the run begin too: what it knows more is kept, the weakest identity stands."""
    head.version = head.version or again.version
    if head.agent == NOBODY:
        head.agent = again.agent
    head.taps = ",".join(sorted({*filter(None, head.taps.split(",")), *again.taps}))
    if TRUST.index(IdentitySource(again.identity)) > TRUST.index(IdentitySource(head.identity)):
        head.identity = again.identity
