# SPDX-License-Identifier: Apache-2.0
"""The audit log on the ledger: durable appends in groups, checkpoints, payloads and their erasure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, func, insert, select

from pilothouse.errors import StorageUnavailable, UnknownName
from pilothouse.ledger.audit_keys import SIGNER_FILE, WRONG_KEY_REMEDY, AuditKeys, put_in_force
from pilothouse.ledger.audit_records import (
    append_records,
    audit_records,
    audit_size,
    read_records,
    stored_texts,
)
from pilothouse.ledger.audit_rows import Entries, compare_rows
from pilothouse.ledger.audit_standing import Standing, compare_standing, standing_lines
from pilothouse.ledger.audit_subjects import (
    SEAL_BYTES,
    audit_payloads,
    erase_subject,
    seal_payloads,
    subject_key,
    unseal_payloads,
)
from pilothouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from pilothouse.ledger.database import Database
from pilothouse.ledger.group_commit import GroupCommit
from pilothouse.ledger.key_history import KEY_REPLACED, KeyHistory
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ledger.tlog import Tree, leaf_hash
from pilothouse.ports.audit import AUDIT_PAGE_MAX, AuditEntry, AuditRecord
from pilothouse.ports.clock import Clock

__all__ = ["SqlAuditLog", "StoredCheckpoint", "audit_checkpoints", "stored_tree"]

audit_checkpoints = Table(
    "audit_checkpoints",
    METADATA,
    Column("size", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
"""Signed notes, one for each size that was ever signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint that was signed here.

    Attributes:
        size: Records under it.
        at: When it was signed.
        note: The signed note.
    """

    size: int
    at: datetime
    note: str


class SqlAuditLog:
    """The log of one installation; safe to share between threads.

    Args:
        database: The ledger.
        keys: Keys of the log.
        clock: The time of records.
        also_erase: What else forgets a person, in the transaction of the erasure, with when and by whom; each returns how many rows it changed.
    """

    def __init__(
        self,
        database: Database,
        keys: AuditKeys,
        clock: Clock,
        *,
        also_erase: tuple[Callable[[Connection, str, datetime, str], int], ...] = (),
    ) -> None:
        self.keys = keys
        self.database = database
        self._clock = clock
        self._also_erase = also_erase
        self._group = GroupCommit(database)

    def append(
        self,
        kind: str,
        agent: str,
        document: Mapping[str, Any],
        *,
        actor: str = "pilothouse",
        payloads: Mapping[str, str] | None = None,
        subject: str | None = None,
    ) -> int:
        """Append one record and return its position, which is on disk now."""
        entry = AuditEntry(
            kind=kind,
            agent=agent,
            actor=actor,
            at=self._clock.now(),
            document=document,
            payloads=payloads or {},
            subject=subject,
        )
        return self.commit(lambda _: entry)

    def commit(self, decide: Callable[[Connection], AuditEntry]) -> int:
        """Run something in the transaction of its own record: both are on disk, or neither is.

        Args:
            decide: Reads and writes with the connection, and returns what is to be recorded.
        """

        def work(connection: Connection) -> int:
            return self._append(connection, (decide(connection),))

        return self._group.run(work)

    def append_all(self, entries: Sequence[AuditEntry]) -> None:
        """Append many records in one transaction; they are on disk when this returns.

        Args:
            entries: At least one.
        """
        self._group.run(lambda connection: self._append(connection, entries))

    def records(self, *, start: int = 0, limit: int = AUDIT_PAGE_MAX) -> tuple[AuditRecord, ...]:
        """Return records from a position on, in order."""
        with self.database.read() as connection:
            return read_records(connection, start=start, limit=limit)

    def search(
        self,
        *,
        agent: str | None,
        kind: str | None = None,
        limit: int = AUDIT_PAGE_MAX,
        before: int | None = None,
        until: datetime | None = None,
    ) -> tuple[AuditRecord, ...]:
        """Return the newest records about an agent, newest first, from before a position or up to a moment where one is named."""
        with self.database.read() as connection:
            return read_records(
                connection, agent=agent, kind=kind, limit=limit, before=before, until=until, newest=True
            )

    def size(self) -> int:
        """Return how many records there are."""
        with self.database.read() as connection:
            return audit_size(connection)

    def texts(self, *, start: int = 0) -> list[tuple[int, str]]:
        """Return position and exact text of every record from a position on."""
        with self.database.read() as connection:
            return list(stored_texts(connection, start=start))

    def columns(self) -> dict[int, tuple[str, str, int]]:
        """Return agent, kind and time of each record, by position."""
        query = select(
            audit_records.c.position, audit_records.c.agent, audit_records.c.kind, audit_records.c.at_us
        )
        with self.database.read() as connection:
            return {
                int(row.position): (row.agent, row.kind, int(row.at_us)) for row in connection.execute(query)
            }

    def compare_rows(self, entries: Entries) -> tuple[list[str], Entries]:
        """Return the rows that disagree with the log, in words, and the rows that no entry names."""
        with self.database.read() as connection:
            return compare_rows(connection, entries)

    def compare_standing(self, standing: Standing, start: int) -> tuple[list[str], int]:
        """Return the mutable rows that disagree with the log, in words, and how many match it.

        Args:
            standing: What stands by the records before `start`.
            start: Records from here on are read together with the rows.
        """
        with self.database.read() as connection:
            for position, text in stored_texts(connection, start=start):
                standing.read(text, position)
            return compare_standing(connection, standing)

    def standing_lines(self) -> tuple[int, list[str]]:
        """Return how many records there are, and the rows they prove, each as an auditor is shown it."""
        with self.database.read() as connection:
            return audit_size(connection), list(standing_lines(connection))

    def tree(self) -> Tree:
        """Return the tree over the records as they are stored now."""
        with self.database.read() as connection:
            return stored_tree(connection)

    def key_history(self) -> KeyHistory:
        """Return which key signs the log now and which ones did before, as far as both keys of each change signed it."""
        with self.database.read() as connection:
            return self.key_history_in(connection)

    def key_history_in(self, connection: Connection) -> KeyHistory:
        """Return the same as a transaction sees it."""
        texts = stored_texts(connection, kind=KEY_REPLACED)
        return KeyHistory.read(_replaced_in(texts), self.keys.verifier)[0]

    def signing_keys(self) -> AuditKeys:
        """Return the keys, with the one that signs this log now.

        Raises:
            StorageUnavailable: The file of the key holds another one.
        """
        history = self.key_history()
        if history.present != self.keys.verifier:  # another process replaced it: the file has the last word
            self.keys = put_in_force(self.keys, history.present)
            history, found = self.key_history(), self.keys.verifier
            if history.present != found:
                raise StorageUnavailable(
                    f"the key in {self.keys.folder / SIGNER_FILE} does not sign this log: "
                    f"{history.present.key_id.hex()} does, and the file holds {found.key_id.hex()}",
                    remedy=WRONG_KEY_REMEDY,
                    subject=str(self.keys.folder),
                )
        signed = self.checkpoints()
        if signed and not any(history.opens(one.note) for one in reversed(signed)):
            raise StorageUnavailable(
                f"the key in {self.keys.folder} does not sign this log: none of its checkpoints is signed by it",
                remedy=WRONG_KEY_REMEDY,
                subject=str(self.keys.folder),
            )
        return self.keys

    def sign(self, size: int | None = None) -> StoredCheckpoint:
        """Sign a checkpoint of the present tree and store the note; a size that was signed before returns its note.

        Args:
            size: Sign only so many records, the first ones; what came later is not under it.

        Raises:
            StorageUnavailable: The file of the key holds another one than signs this log.
        """
        tree = self.tree()
        size = len(tree) if size is None else size
        at = self._clock.now()
        keys = self.signing_keys()  # after the tree: the key that stands in it, or a later one
        checkpoint = Checkpoint(origin=keys.origin, size=size, root=tree.root(size))
        note = sign_checkpoint(checkpoint, keys.origin, keys.signer)
        with self.database.write() as connection:
            known = connection.execute(
                select(audit_checkpoints).where(audit_checkpoints.c.size == size)
            ).first()
            if known is not None:
                return StoredCheckpoint(size=known.size, at=from_micros(known.at_us), note=known.note)
            connection.execute(insert(audit_checkpoints).values(size=size, at_us=to_micros(at), note=note))
        return StoredCheckpoint(size=size, at=at, note=note)

    def checkpoints(self) -> tuple[StoredCheckpoint, ...]:
        """Return every checkpoint that was signed here, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(audit_checkpoints).order_by(audit_checkpoints.c.size)).all()
        return tuple(
            StoredCheckpoint(size=row.size, at=from_micros(row.at_us), note=row.note) for row in rows
        )

    def payloads(self, position: int) -> dict[str, tuple[bytes, bytes] | None]:
        """Return salt and payload of a record by name; None for a changed payload, and erased ones are absent."""
        with self.database.read() as connection:
            return unseal_payloads(connection, self.keys.wrapper, position)

    def erase(self, person: str, *, actor: str, reason: str) -> int | None:
        """Destroy a person's key and what else is kept of them, record that, and return the record's position; None when nothing is."""

        def decide(connection: Connection) -> AuditEntry:
            at = self._clock.now()
            subject = erase_subject(connection, person, at)
            forgotten = [forget(connection, person, at, actor) for forget in self._also_erase]
            if subject is None and not any(forgotten):
                raise UnknownName(
                    f"nothing is kept of {person}", remedy="See `pilothouse contact list`.", subject=person
                )
            return AuditEntry(
                kind="subject.erased",
                agent="",
                actor=actor,
                at=at,
                document={"subject": subject, "reason": reason},
            )

        try:
            position = self.commit(decide)
        except UnknownName:
            return None
        self.database.forget_log()
        return position

    def latest_at(self) -> datetime | None:
        """Return the latest time of any record, so that setting the clock back extends no deadline."""
        with self.database.read() as connection:
            latest = connection.execute(select(func.max(audit_records.c.at_us))).scalar()
        return None if latest is None else from_micros(int(latest))

    def _append(self, connection: Connection, entries: Sequence[AuditEntry]) -> int:
        """Append entries with their payloads; return the position of the first."""
        keys: dict[str, tuple[str, AESGCM]] = {}
        committed: list[tuple[AuditEntry, list[dict[str, str]]]] = []
        payloads: list[tuple[int, str, dict[str, str]]] = []
        # One system call for all of them.
        draw = BytesIO(os.urandom(SEAL_BYTES * sum(len(entry.payloads) for entry in entries))).read
        for at, entry in enumerate(entries):
            commitments: list[dict[str, str]] = []
            if entry.payloads:
                person = entry.subject or "unknown"
                if person not in keys:
                    keys[person] = subject_key(connection, self.keys.wrapper, person)
                subject, key = keys[person]
                commitments, sealed = seal_payloads(key, subject, entry.payloads, draw)
                payloads.append((at, subject, sealed))
            committed.append((entry, commitments))
        first = append_records(connection, committed)
        rows = [
            {"position": first + at, "name": name, "subject": subject, "sealed": text}
            for at, subject, sealed in payloads
            for name, text in sealed.items()
        ]
        if rows:
            connection.execute(insert(audit_payloads), rows)
        return first


def stored_tree(connection: Connection) -> Tree:
    """Return the tree over the records as a transaction sees them."""
    return Tree(leaf_hash(text.encode()) for _, text in stored_texts(connection))


def _replaced_in(texts: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield position and note of records of kind `KEY_REPLACED`; one that cannot be read, which we did not write, has none."""
    for position, text in texts:
        try:
            note = json.loads(text)["document"]["note"]
        except (ValueError, LookupError, TypeError, RecursionError):
            note = ""
        yield position, str(note)
