# SPDX-License-Identifier: Apache-2.0
"""Mutable rows are entered into the audit log by digest, each change in the transaction that makes it.

Decisions, charters, verdicts and evidence are only ever added, and each has an entry of its own. Prices, outcomes, questions
of the review queue, labels, approvals, incidents, pauses, faults of drills, keys, sessions and contacts are many or are changed, so an entry names rows that came and
rows that went: what stands is what came and did not go. Texts of persons are under a salt of their row: once both are erased, nobody can guess them back from the log.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, select

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json
from pilothouse.ledger.audit_records import append_record
from pilothouse.ledger.audit_subjects import commitment_of

__all__ = ["LOGGED", "ROWS_CHANGED", "Logged", "fresh_salt", "log_rows", "logged_change", "row_line"]

ROWS_CHANGED = "rows.changed"

ROWS_IN_RECORD = 90
"""Digests named by one record of the audit log: 3.9 KB."""

SALT_BYTES = 16

_Digests: TypeAlias = dict[str, dict[bytes, None]]
"""Digests of rows by agent, in order; each row names itself, so no two have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """The part of a table that the log covers. A column that is added later changes no digest until it is listed here.

    Attributes:
        words: What one row is.
        key: Columns that name a row.
        public: Further columns whose values an auditor is shown.
        private: Columns of which an auditor is shown only a commitment; under the salt of the row where it has one.
        later: Public columns that came when rows were there already; left out while empty, so their digests stay.
        alike: Values that mean the same to the log, by column: between them a row may go to and fro without an entry.
    """

    words: str
    key: tuple[str, ...]
    public: tuple[str, ...]
    private: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    alike: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


LOGGED: Mapping[str, Logged] = MappingProxyType(
    {
        "prices": Logged(
            words="price",
            key=("provider", "model", "token_class", "valid_from_us"),
            public=("valid_to_us", "micro_usd_per_million", "source", "source_date"),
        ),
        "outcomes": Logged(
            words="outcome of task",
            key=("trace_id",),
            public=(
                *("agent", "task_type", "version_digest", "task_start_ns", "status"),
                *("critical", "verifier", "verified_us", "attempts"),
            ),
            private=("claim", "found"),
        ),
        "review_items": Logged(
            words="question of the review queue",
            key=("item_id",),
            public=(
                *("agent", "task_type", "trace_id", "version", "source", "confidence", "error_cost_micros"),
                *(
                    "probability",
                    "created_us",
                    "due_us",
                    "pair_of",
                    "only_for",
                    "state",
                    "decided_by",
                    "decided_us",
                ),
            ),
            private=(
                *("why", "input", "proposal", "used", "call_digest", "content_digest"),
                *("known", "correction", "note"),
            ),
            later=("conversation",),
            alike={"state": {"claimed": "waiting"}},
        ),
        "review_labels": Logged(
            words="label",
            key=("sequence",),
            public=("item_id", "agent", "reviewer", "answer", "rubric", "seconds", "at_us", "undone_us"),
            private=("correction", "note"),
        ),
        "approvals": Logged(
            words="approval",
            key=("id",),
            public=("agent", "tool", "run", "state", "policy", "needs", "canary", "asked_us", "expires_us"),
            private=("requester", "call_digest", "document"),
        ),
        "approval_votes": Logged(
            words="answer to an approval", key=("approval", "actor"), public=("allows", "at_us")
        ),
        "incidents": Logged(
            words="incident",
            key=("number",),
            public=("agent", "severity", "state", "drill", "opened_us", "version"),
            private=("document",),
        ),
        "controls": Logged(
            words="pause or rollback",
            key=("agent", "kind", "tool"),
            public=("to_version", "from_version", "reason", "actor", "at_us"),
        ),
        "planted_faults": Logged(
            words="fault of a drill",
            key=("agent", "kind", "integration"),
            public=("environment", "hang_ms", "actor", "at_us", "until_us"),
        ),
        "gateway_keys": Logged(
            words="key",
            key=("prefix",),
            public=(
                *("agent", "environment", "models", "spans"),
                *("created_us", "created_by", "expires_us", "revoked_us"),
            ),
            private=("digest",),
            later=("version", "record"),
        ),
        "gateway_providers": Logged(
            words="provider",
            key=("name",),
            public=("url", "protocol", "credential_variable", "credential_file", "region"),
        ),
        "credentials": Logged(
            words="credential", key=("name",), public=("variable", "file", "host", "expires_us")
        ),
        "sign_in_links": Logged(
            words="link that signs in", key=("link_hash",), public=("identity", "expires_us")
        ),
        "sessions": Logged(
            words="session", key=("session_hash",), public=("identity", "created_us", "expires_us")
        ),
        "contacts": Logged(
            words="address of",
            key=("identity", "channel"),
            public=("zone", "actor", "at_us"),
            private=("url",),
        ),
    }
)
"""Tables whose rows are changed in place and can turn a verdict or the boundary. A key's digest has no salt: it is of 256
random bits, as those of links and sessions are. Who has a question open, and until when, and when a session or a key was last used, changes with every look."""


def fresh_salt() -> str:
    """Return a random salt, for a new row or one whose texts were erased."""
    return os.urandom(SALT_BYTES).hex()


def row_line(table: str, row: Mapping[Any, Any]) -> str:
    """Return a row as an auditor is shown it; its SHA-256 is what the log names.

    Args:
        table: Name of the table, one of `LOGGED`.
        row: Values by column.
    """
    logged = LOGGED[table]
    shown = {name: _plain(row[name]) for name in (*logged.key, *logged.public)}
    shown |= {name: _plain(row[name]) for name in logged.later if row.get(name) is not None}
    for name, alike in logged.alike.items():
        shown[name] = alike.get(shown[name], shown[name])
    if logged.private:
        texts = canonical_json([row[name] for name in logged.private]).encode()
        shown["private"] = commitment_of(bytes.fromhex(row.get("salt", "")), texts)
    return canonical_json({"table": table, "row": shown})


@contextmanager
def logged_change(
    connection: Connection, table: Table, where: ColumnElement[bool], *, at: datetime, actor: str
) -> Iterator[None]:
    """Log the changes that the block makes to some rows.

    Args:
        connection: A transaction that writes.
        table: One of `LOGGED`.
        where: Names the rows before and after; by columns that the block does not change.
        at: When.
        actor: Who.
    """
    # Digests are kept and not rows: a page of questions may be megabytes of text.
    before = _digests(table.name, connection.execute(select(table).where(where)).mappings())
    yield
    after = _digests(table.name, connection.execute(select(table).where(where)).mappings())
    _log_digests(connection, table.name, after, before, at=at, actor=actor)


def log_rows(
    connection: Connection,
    table: str,
    *,
    added: Iterable[Mapping[Any, Any]],
    removed: Iterable[Mapping[Any, Any]] = (),
    at: datetime,
    actor: str,
    adopted: bool = False,
) -> None:
    """Log which rows were added and which removed; a row that is equal before and after is no change.

    Args:
        connection: The transaction that makes the change.
        table: Name of the table, one of `LOGGED`.
        added: Rows that stand from now on.
        removed: Rows as they stood until now.
        at: When.
        actor: Who.
        adopted: Whether the rows were there before the log named any: it proves them from here on.
    """
    came, went = _digests(table, added), _digests(table, removed)
    _log_digests(connection, table, came, went, at=at, actor=actor, adopted=adopted)


def _log_digests(
    connection: Connection,
    table: str,
    came: _Digests,
    went: _Digests,
    *,
    at: datetime,
    actor: str,
    adopted: bool = False,
) -> None:
    for agent in sorted({*came, *went}):
        new, old = came.get(agent, {}), went.get(agent, {})
        changes = [(True, digest) for digest in new if digest not in old]
        changes += [(False, digest) for digest in old if digest not in new]
        for start in range(0, len(changes), ROWS_IN_RECORD):
            document = _document(table, changes[start : start + ROWS_IN_RECORD])
            append_record(
                connection,
                kind=ROWS_CHANGED,
                agent=agent,
                actor=actor,
                at=at,
                document=document | ({"adopted": True} if adopted else {}),
            )


def _digests(table: str, rows: Iterable[Mapping[Any, Any]]) -> _Digests:
    found: _Digests = {}
    for row in rows:
        digest = hashlib.sha256(row_line(table, row).encode()).digest()
        found.setdefault(row.get("agent", ""), {})[digest] = None
    return found


def _document(table: str, changes: Sequence[tuple[bool, bytes]]) -> dict[str, Any]:
    added = sum(came for came, _ in changes)
    return {
        "table": table,
        "added": added,
        "removed": len(changes) - added,
        "sha256": base64.b64encode(b"".join(digest for _, digest in changes)).decode(),
    }


def _plain(value: Any) -> Any:
    """Return a value in its one normal form, whichever database it comes from.

    Nanoseconds are beyond the numbers that JSON has; SQLite gives back a whole float as it was handed over.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _plain(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, int) and abs(value) > INTEGER_EXACT_MAX else value
