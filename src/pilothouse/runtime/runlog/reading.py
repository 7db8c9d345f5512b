# SPDX-License-Identifier: Apache-2.0
"""Read runs back: the chain of every event checked, every body put together again and compared with its digest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from pilothouse.core.evidence.run_log import (
    NOT_RECORDED,
    IdentitySource,
    LoggedEvent,
    RecordedRun,
    Replayable,
    RunState,
    RunSummary,
    Tap,
)
from pilothouse.errors import MalformedRecord, UnknownName
from pilothouse.ports.runlog import RUNS_PAGE_MAX
from pilothouse.runtime.runlog.coding import BodyReference, decode_event
from pilothouse.runtime.runlog.store import chained
from pilothouse.runtime.runlog.vault import ContentKey, KeyVault, addresses_in

__all__ = ["find_run", "list_runs", "read_run", "row_of"]

COLUMNS = "run, agent, version, identity, state, opened_ns, last_ns, events, calls, lost, draws, taps, subject, head, key"
ALL_DRAWS = {"clock", "uuid", "random"}
"""Taps that together see everything a process draws."""


class _Damage(Exception):
    """A body cannot be put together again."""


def find_run(connection: sqlite3.Connection, run: str) -> str:
    """Return the whole id of a run of which the beginning is given.

    Raises:
        UnknownName: None or several begin like that.
    """
    low = run.lower()
    rows = connection.execute(
        "SELECT run FROM run WHERE run >= ? AND run < ? ORDER BY run LIMIT 2", (low, low + "g")
    ).fetchall()
    if low and len(rows) == 1:
        return str(rows[0][0])
    if not rows or not low:
        raise UnknownName(
            f"no run {run!r} was recorded",
            remedy="List them: `pilothouse replay --list`. The id of a trace is that of a run only where the agent's client "
            "sends `traceparent` to the gateway.",
            subject=run,
        )
    (one,), (other,) = rows
    digits = next(at for at in range(len(one)) if one[at] != other[at]) + 1
    raise UnknownName(
        f"several runs begin with {run!r}",
        remedy=f"Give more digits: `pilothouse replay {one[:digits]}`, or {other[:digits]}",
        subject=run,
    )


def list_runs(
    connection: sqlite3.Connection,
    vault: KeyVault,
    *,
    agent: str | None,
    since_ns: int,
    until_ns: int | None,
    limit: int,
) -> Sequence[RunSummary]:
    """Return what a list shows, newest first.

    Args:
        connection: The file.
        vault: Says whose content was erased.
        agent: Only this agent's, or None.
        since_ns: Opened at or after.
        until_ns: Opened before, or None.
        limit: Most of them.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM run WHERE opened_ns >= ? AND opened_ns < ? AND (? IS NULL OR agent = ?) "  # noqa: S608 - our own columns
        "ORDER BY opened_ns DESC, run LIMIT ?",
        (since_ns, (1 << 63) - 1 if until_ns is None else until_ns, agent, agent, min(limit, RUNS_PAGE_MAX)),
    ).fetchall()
    return [_summary(row, vault, damaged=False) for row in rows]


def row_of(connection: sqlite3.Connection, vault: KeyVault, run: str) -> RunSummary | None:
    """Return what a list shows of one run, or None."""
    row = connection.execute(f"SELECT {COLUMNS} FROM run WHERE run = ?", (run,)).fetchone()  # noqa: S608 - our own columns
    return None if row is None else _summary(row, vault, damaged=False)


def read_run(connection: sqlite3.Connection, vault: KeyVault, run: str) -> RecordedRun:
    """Read a run up to its last good event."""
    connection.execute("BEGIN")
    try:
        row = connection.execute(f"SELECT {COLUMNS} FROM run WHERE run = ?", (run,)).fetchone()  # noqa: S608 - our own columns
        events = connection.execute(
            "SELECT seq, kind, at_ns, mono_ns, tap, call, digest, data FROM event "
            "WHERE id = (SELECT id FROM run WHERE run = ?) ORDER BY seq",
            (run,),
        ).fetchall()
        pieces = {
            bytes(address): bytes(content)
            for address, content in connection.execute(
                "SELECT address, content FROM piece WHERE id = (SELECT id FROM run WHERE run = ?)", (run,)
            )
        }
    finally:
        connection.execute("COMMIT")
    subject = str(row[12])
    key = vault.key(subject, row[14])
    erased = vault.is_erased(subject, row[14]) and (key is None or not pieces)
    read, damage = _decode(run, events, _Bodies(key, pieces, erased=erased).load)
    if damage is None and len(read) < int(row[7]):
        damage = f"event {len(read) + 1} of {row[7]} is missing"
    if damage is None and read and read[-1].digest != row[13]:
        damage = f"event {len(read)} is not the one that was written last"
    return RecordedRun(
        summary=_summary(row, vault, damaged=damage is not None, erased=erased),
        events=tuple(read),
        damage=damage,
    )


class _Bodies:
    """Puts the bodies of one run together."""

    def __init__(self, key: ContentKey | None, pieces: dict[bytes, bytes], *, erased: bool) -> None:
        self._key = key
        self._sealed = {
            one: (addresses, sealed)
            for addresses, sealed in pieces.items()
            for one in addresses_in(addresses)
        }
        self._opened: dict[bytes, bytes] = {}
        self._lists: dict[int, tuple[bytes, ...]] = {}
        self._erased = erased

    def load(self, reference: BodyReference) -> bytes:
        """Return one body.

        Raises:
            _Damage: A piece is missing or is not what was stored.
        """
        if self._erased:
            return b""
        kept = self._lists.get(reference.base or 0, ())[: reference.keep]
        if len(kept) < reference.keep:
            raise _Damage("the body that it begins like is missing")
        addresses = self._lists[reference.number] = (*kept, *reference.then)
        whole = b"".join(self._piece(address) for address in addresses)
        if self._key is None or self._key.address(whole) != reference.digest:
            raise _Damage("its body is not the one that was written")
        return whole

    def _piece(self, address: bytes) -> bytes:
        opened = self._opened.get(address)
        if opened is None:
            sealed = self._sealed.get(address)
            if sealed is not None and self._key is not None:
                self._opened.update(self._key.open(*sealed))
            opened = self._opened.get(address)
            if opened is None:
                raise _Damage("a piece of its body is missing or damaged")
        return opened


def _decode(
    run: str, rows: Sequence[tuple[object, ...]], load: Callable[[BodyReference], bytes]
) -> tuple[list[LoggedEvent], str | None]:
    """Decode events until one is not what was written."""
    read: list[LoggedEvent] = []
    previous = ""
    for place, (seq, kind, at_ns, mono_ns, tap, call, digest, data) in enumerate(rows, start=1):
        if seq != place:
            return read, f"event {place} is missing"
        if chained(previous, run, seq, kind, at_ns, mono_ns, tap, call, data) != digest:
            return read, f"event {place} ({kind}) is not the one that was written"
        try:
            event = decode_event(str(kind), str(data), load)
        except (_Damage, MalformedRecord) as error:
            return read, f"event {place} ({kind}): {error}"
        previous = str(digest)
        read.append(
            LoggedEvent(
                seq=place,
                at_ns=int(str(at_ns)),
                mono_ns=int(str(mono_ns)),
                tap=Tap(str(tap)),
                call=str(call),
                digest=previous,
                event=event,
            )
        )
    return read, None


def _summary(
    row: tuple[object, ...], vault: KeyVault, *, damaged: bool, erased: bool | None = None
) -> RunSummary:
    (
        run,
        agent,
        version,
        identity,
        state,
        opened,
        last,
        events,
        calls,
        lost,
        _draws,
        taps,
        subject,
        head,
        key,
    ) = row
    number = None if key is None else int(str(key))
    gone = vault.key(str(subject), number) is None if erased is None else erased
    if gone:
        replayable = Replayable.ERASED
    elif NOT_RECORDED in (seen := set(str(taps).split(","))):
        replayable = Replayable.UNRECORDED
    elif damaged or int(str(lost)) or not int(str(calls)):
        replayable = Replayable.NO
    else:
        replayable = Replayable.EXACT if seen >= ALL_DRAWS else Replayable.MODEL_SIDE
    return RunSummary(
        run=str(run),
        agent=str(agent),
        version=None if version is None else str(version),
        identity=IdentitySource(str(identity)),
        state=RunState(str(state)),
        opened_ns=int(str(opened)),
        last_ns=int(str(last)),
        events=int(str(events)),
        calls=int(str(calls)),
        lost=int(str(lost)),
        replayable=replayable,
        subject=str(subject),
        head=str(head),
    )
