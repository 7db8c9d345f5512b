# SPDX-License-Identifier: Apache-2.0
"""Compare mutable rows with the audit log: the rows that exist are those added and not removed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from pilothouse.core.charter.digest import canonical_json
from pilothouse.ledger.approval_tables import approval_votes, approvals
from pilothouse.ledger.contacts import contacts
from pilothouse.ledger.controls import controls, planted_faults
from pilothouse.ledger.credentials import credentials
from pilothouse.ledger.gateway import gateway_keys, gateway_providers
from pilothouse.ledger.incidents import incidents
from pilothouse.ledger.review_tables import review_items, review_labels
from pilothouse.ledger.row_log import LOGGED, ROWS_CHANGED, row_line
from pilothouse.ledger.schema import outcomes, prices
from pilothouse.ledger.sessions import sessions, sign_in_links

__all__ = ["LOGGED_TABLES", "Standing", "compare_standing", "standing_lines"]

LOGGED_TABLES = (
    prices,
    outcomes,
    review_items,
    review_labels,
    approvals,
    approval_votes,
    incidents,
    controls,
    planted_faults,
    gateway_keys,
    gateway_providers,
    credentials,
    sign_in_links,
    sessions,
    contacts,
)

DIGEST_BYTES = 32

ROWS_AT_ONCE = 1_000
"""Rows that are in memory at once."""


@dataclass(slots=True)
class Standing:
    """The rows that these tables must have, according to the log.

    Attributes:
        named: How often each digest came without having gone.
        words: The last entry that named it, in words.
        problems: Entries that say nothing.
    """

    named: Counter[bytes] = field(default_factory=Counter)
    words: dict[bytes, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def read(self, text: str, position: int) -> None:
        """Add one stored record; records of other kinds, and malformed ones, are ignored here."""
        if f'"kind":"{ROWS_CHANGED}"' in text:
            with suppress(ValueError, TypeError, KeyError):
                record = json.loads(text)
                if record["kind"] == ROWS_CHANGED:
                    self.add(record["document"], position)

    def add(self, document: Mapping[str, Any], position: int) -> None:
        """Add one entry."""
        try:
            digests = base64.b64decode(document["sha256"], validate=True)
            added, removed, table = int(document["added"]), int(document["removed"]), str(document["table"])
        except (binascii.Error, LookupError, TypeError, ValueError):
            self.problems.append(f"record {position} names no rows: somebody wrote something else there")
            return
        if min(added, removed) < 0 or len(digests) != DIGEST_BYTES * (added + removed):
            self.problems.append(f"record {position} names another number of rows than it says")
            return
        for at in range(added + removed):
            digest = digests[DIGEST_BYTES * at : DIGEST_BYTES * (at + 1)]
            self.named[digest] += 1 if at < added else -1
            if self.named[digest]:
                self.words[digest] = f"record {position}, a row of {table}"
            else:
                del self.named[digest]
                self.words.pop(digest, None)


def compare_standing(connection: Connection, standing: Standing) -> tuple[list[str], int]:
    """Return what is missing, was changed or was added without an entry, in words, and how many rows match the log.

    Args:
        connection: A transaction that reads, the one in which the last entries were read.
        standing: What stands by the log; what matches is taken out of it.
    """
    problems, matching = list(standing.problems), 0
    for name, row in _rows(connection):
        digest = hashlib.sha256(_line(name, row).encode()).digest()
        if standing.named[digest] > 0:
            standing.named[digest] -= 1
            matching += 1
        else:
            key = " ".join(str(row[column]) for column in LOGGED[name].key)
            problems.append(f"the {LOGGED[name].words} {key}: no record of the log names it as it stands")
    problems += [
        f"{standing.words[digest]}: what it names is gone or was changed"
        if count > 0
        else f"{standing.words[digest]}: it takes away what no record before it names"
        for digest, count in standing.named.items()
        if count
    ]
    return problems, matching


def standing_lines(connection: Connection) -> Iterator[str]:
    """Yield every row as an auditor is shown it."""
    for name, row in _rows(connection):
        yield _line(name, row)


def _line(name: str, row: RowMapping) -> str:
    """Return a row as the log shows it; a malformed row becomes a line that no record names."""
    try:
        return row_line(name, row)
    except (TypeError, ValueError):
        return canonical_json({"table": name, "row": None})


def _rows(connection: Connection) -> Iterator[tuple[str, RowMapping]]:
    reading = connection.execution_options(yield_per=ROWS_AT_ONCE)
    for table in LOGGED_TABLES:
        for row in reading.execute(select(table).order_by(*table.primary_key)).mappings():
            yield table.name, row
