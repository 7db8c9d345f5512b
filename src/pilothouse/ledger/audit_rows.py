# SPDX-License-Identifier: Apache-2.0
"""Compare the rows behind verdicts and phases with the audit log: each row has its entry, and each entry its row.

The log proves what was written into it. What is read is a table beside it, and whoever may write the database could
change a waiver, a charter or a measurement there and leave the log as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Row, select

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.digest import evidence_digest
from pilothouse.ledger.decisions import document_in_record
from pilothouse.ledger.evidence_document import parse_document
from pilothouse.ledger.evidence_index import Placed, digests_standing, index_of
from pilothouse.ledger.key_history import KEY_REPLACED
from pilothouse.ledger.row_log import ROWS_CHANGED
from pilothouse.ledger.schema import charters, decisions, evidence, standing_evidence, to_micros, verdicts

__all__ = ["ENTRIES_ALONE", "Entries", "compare_rows"]

ENTRIES_ALONE = frozenset(
    {"approval.answered", "call.decided", "policy.in_force", "task.token_refused", KEY_REPLACED, ROWS_CHANGED}
)
"""Kinds of entries that have no row in the four tables: the log is the only place where they stand, or another comparison
reads them (`audit_standing.py`)."""

ERASED = "subject.erased"
"""The one kind that stands in the log alone or as a decision too: a row of it needs its entry, an entry of it no row."""

EVIDENCE = "evidence.recorded"

ROWS_AT_ONCE = 1_000
"""Rows that are in memory at once."""


@dataclass(slots=True)
class Entries:
    """What the log names: charters, verdicts and decisions by a digest of the whole entry, evidence by its own digest.

    Attributes:
        named: How often each entry stands in the log.
        words: The last entry of those that must have a row, in words.
        measured: Agent and digest of the records of evidence.
    """

    named: Counter[bytes] = field(default_factory=Counter)
    words: dict[bytes, str] = field(default_factory=dict)
    measured: set[tuple[str, str]] = field(default_factory=set)

    def add(
        self, *, kind: str, agent: str, actor: str, at_us: int, document: Mapping[str, Any], position: int
    ) -> None:
        """Add one entry."""
        if kind == EVIDENCE:
            self.measured.update((agent, str(digest)) for digest in document.get("digests", ()))
        elif kind not in ENTRIES_ALONE:
            key = _key(kind, agent, actor, at_us, document)
            self.named[key] += 1
            if kind != ERASED:
                self.words[key] = f"record {position}, {kind} of {agent or 'the installation'}"


def compare_rows(connection: Connection, entries: Entries) -> tuple[list[str], Entries]:
    """Return missing and changed rows, in words, and the rows that no entry names.

    Args:
        connection: A transaction that reads, begun after the entries were read: rows are only ever added.
        entries: What the log names.

    Returns:
        Problems, and the rows without an entry: those that were added since the entries were read have one by now.
    """
    problems: list[str] = []
    unnamed, left = Entries(), entries.named.copy()
    for key, words in _rows(connection):
        if left[key]:
            left[key] -= 1
        else:
            unnamed.named[key] += 1
            unnamed.words[key] = words
    problems += [
        f"{entries.words[key]}: what it names is gone or was changed" for key in +left if key in entries.words
    ]
    found: set[tuple[str, str]] = set()
    for row in _evidence(connection):
        found.add((row.agent, row.digest))
        if not _is_as_written(row):
            problems.append(
                f"the record of evidence {row.digest[:12]} of {row.agent} was changed after it was written"
            )
    problems += [
        f"the record of evidence {digest[:12]} of {agent} is gone"
        for agent, digest in entries.measured - found
    ]
    unnamed.measured = found - entries.measured
    return [*problems, *_out_of_place(connection)], unnamed


def _key(kind: str, agent: str, actor: str, at_us: int, document: object) -> bytes:
    return blake2b(canonical_json([kind, agent, actor, at_us, document]).encode(), digest_size=16).digest()


def _rows(connection: Connection) -> Iterator[tuple[bytes, str]]:
    """Yield charters, verdicts and decisions, each as the key of its expected entry, and in words."""
    reading = connection.execution_options(yield_per=ROWS_AT_ONCE)
    for row in reading.execute(select(charters)):
        charter = {"number": row.number, "digest": row.digest, "text_sha256": _sha256(row.text)}
        if row.files is not None:
            charter["files"] = _read(row.files, json.loads)
        key = _key("charter.in_force", row.agent, "pilothouse", row.accepted_us, charter)
        yield key, f"charter {row.number} of {row.agent}"
    for row in reading.execute(select(verdicts)):
        verdict = {"status": row.status, "digest": _sha256(row.document)}
        yield (
            _key("verdict.frozen", row.agent, "pilothouse", row.at_us, verdict),
            f"verdict {row.sequence} of {row.agent}",
        )
    for row in reading.execute(select(decisions)):
        words = f"decision {row.sequence}, {row.kind} of {row.agent or 'the installation'}"
        yield _key(row.kind, row.agent, row.actor, row.at_us, _read(row.document, document_in_record)), words


def _read(text: str, read: Callable[[str], object]) -> object:
    """Return the parsed JSON text of a record; None, which no entry holds, for invalid JSON."""
    try:
        return read(text)
    except ValueError:
        return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _evidence(connection: Connection) -> Iterable[Row[Any]]:
    return connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(evidence))


def _is_as_written(row: Row[Any]) -> bool:
    """Whether a record matches its digest and the columns under which it is filed."""
    try:
        record = parse_document(row.document)
    except (ValueError, KeyError, TypeError):
        return False
    filed = (record.agent, record.kind, to_micros(record.recorded_at))
    return (
        evidence_digest(record) == row.digest
        and filed == (row.agent, row.kind, row.recorded_us)
        and all(getattr(row, name) == value for name, value in index_of(record).items())
    )


def _out_of_place(connection: Connection) -> Iterator[str]:
    """Yield entries that are missing from, or surplus in, the index of newest records, where a verdict begins."""
    columns = (
        evidence.c.agent,
        evidence.c.about,
        evidence.c.digest,
        evidence.c.window_to_us,
        evidence.c.arrived,
        evidence.c.recorded_us,
    )
    rows = [Placed(*row) for row in connection.execute(select(*columns))]
    standing_digests = digests_standing(rows)
    due = {(row.agent, row.about, row.digest) for row in rows if row.digest in standing_digests}
    index = standing_evidence.c
    standing = {tuple(row) for row in connection.execute(select(index.agent, index.about, index.digest))}
    for agent, _, digest in sorted(due ^ standing):
        yield f"the record of evidence {digest[:12]} of {agent} does not stand where verdicts look for it"
