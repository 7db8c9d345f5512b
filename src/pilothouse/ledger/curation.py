# SPDX-License-Identifier: Apache-2.0
"""Few-shot libraries, lineage and erasure in the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    String,
    Table,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from pilothouse.core.evidence.review import OPEN_STATES, ItemState
from pilothouse.core.evidence.spellings import spellings
from pilothouse.errors import LimitExceeded, UsageError
from pilothouse.ledger.database import Repository
from pilothouse.ledger.decisions import append_decision
from pilothouse.ledger.feedback import feedback
from pilothouse.ledger.review_settling import NOBODY
from pilothouse.ledger.review_tables import digest_of_erased, review_drafts, review_items, review_labels
from pilothouse.ledger.row_log import LOGGED, fresh_salt, logged_change
from pilothouse.ledger.schema import METADATA, from_micros, outcomes, to_micros
from pilothouse.ports.curation import ERASED, EXAMPLES_MAX, Edge, Example

__all__ = ["SqlCuration", "few_shots", "lineage"]

SUBJECT_CHARS_MIN = 4
"""Characters of a subject: shorter ones are part of half of all texts."""

READ_MAX = 10_000

_OF_ERASED = "erased "
"""How ids of feedback begin whose text is gone."""

_ROWS_AT_ONCE = 500
"""Rows emptied by one statement; each brings its primary key as variables, of which SQLite takes 32,766."""

few_shots = Table(
    "few_shots",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("example_id", String(64), primary_key=True),
    Column("task_type", String(64), nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("item_id", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index(None, "agent", "at_us"),
)
"""Every version of every library."""

lineage = Table(
    "lineage",
    METADATA,
    Column("parent", String(256), primary_key=True),
    Column("child", String(256), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index(None, "child"),
)
"""What was made from what."""

_TEXTS: Mapping[Table, tuple[str, ...]] = {
    review_items: ("why", "input", "proposal", "used", "correction", "note", "known"),
    review_labels: ("correction", "note"),
    review_drafts: ("text",),
    feedback: ("text", "actor"),
    few_shots: ("input", "output"),
}
"""Columns that hold what people and agents wrote."""


class SqlCuration(Repository):
    """`ports.CurationStore` on the ledger."""

    def save_examples(self, agent: str, version: str, examples: Sequence[Example], at: datetime) -> None:
        """Store a library under its version; storing the same version again changes nothing."""
        if len(examples) > EXAMPLES_MAX:
            raise LimitExceeded(
                f"{len(examples):,} examples, at most {EXAMPLES_MAX:,} are kept for one agent",
                remedy="Lower `few_shot.max` of the charter.",
                subject=agent,
            )
        known = select(exists().where(few_shots.c.agent == agent, few_shots.c.version == version))
        with self.database.write() as connection:
            if connection.execute(known).scalar_one():
                return
            for example in examples:
                connection.execute(
                    insert(few_shots).values(
                        agent=agent,
                        version=version,
                        example_id=example.example_id,
                        task_type=example.task_type,
                        input=example.input,
                        output=example.output,
                        item_id=example.item_id,
                        at_us=to_micros(at),
                    )
                )

    def examples(self, agent: str) -> tuple[str, Sequence[Example]]:
        """Return the newest version of an agent's library and its examples; an empty version when there is none."""
        newest = (
            select(few_shots.c.version)
            .where(few_shots.c.agent == agent)
            .order_by(few_shots.c.at_us.desc(), few_shots.c.version)
            .limit(1)
        )
        with self.database.read() as connection:
            version = connection.execute(newest).scalar_one_or_none()
            if version is None:
                return "", ()
            rows = connection.execute(
                select(few_shots)
                .where(few_shots.c.agent == agent, few_shots.c.version == version)
                .order_by(few_shots.c.example_id)
            ).all()
        return str(version), tuple(
            Example(
                example_id=row.example_id,
                agent=row.agent,
                task_type=row.task_type,
                input=row.input,
                output=row.output,
                item_id=row.item_id,
            )
            for row in rows
            if ERASED not in (row.input, row.output)
        )

    def link(self, edges: Sequence[Edge]) -> None:
        """Store lineage edges; a known edge changes nothing."""
        with self.database.write() as connection:
            for edge in edges:
                same = select(exists().where(lineage.c.parent == edge.parent, lineage.c.child == edge.child))
                if not connection.execute(same).scalar_one():
                    connection.execute(
                        insert(lineage).values(
                            parent=edge.parent, child=edge.child, agent=edge.agent, at_us=to_micros(edge.at)
                        )
                    )

    def edges_of(self, name: str) -> Sequence[Edge]:
        """Return every edge that has a name as parent or as child, at most 10,000."""
        return self._edges(or_(lineage.c.parent == name, lineage.c.child == name))

    def edges_since(self, agent: str, since: datetime) -> Sequence[Edge]:
        """Return the lineage edges of an agent since a moment, oldest first, at most 10,000."""
        return self._edges((lineage.c.agent == agent) & (lineage.c.at_us >= to_micros(since)))

    def _edges(self, where: ColumnElement[bool]) -> tuple[Edge, ...]:
        oldest_first = (lineage.c.at_us, lineage.c.parent, lineage.c.child)
        wanted = select(lineage).where(where).order_by(*oldest_first).limit(READ_MAX)
        with self.database.read() as connection:
            return tuple(
                Edge(agent=row.agent, parent=row.parent, child=row.child, at=from_micros(row.at_us))
                for row in connection.execute(wanted)
            )

    def traces_with(self, subject: str) -> Sequence[str]:
        """Return the ids of reviewed tasks whose texts contain a subject, at most 10,000."""
        _check_subject(subject)
        with self.database.read() as connection:
            return tuple(
                connection.execute(
                    select(review_items.c.trace_id)
                    .where(_holds(review_items, subject))
                    .distinct()
                    .order_by(review_items.c.trace_id)
                    .limit(READ_MAX)
                ).scalars()
            )

    def left_with(self, subject: str) -> Mapping[str, int]:
        """Return how many rows still contain a subject, by table, where an erasure may not or cannot reach."""
        _check_subject(subject)
        left = {}
        with self.database.read() as connection:
            for table in METADATA.sorted_tables:
                if (
                    table in _TEXTS or table is outcomes
                ):  # emptied here, or with the tasks that they are about
                    continue
                texts = [column for column in table.columns if isinstance(column.type, String)]
                held = or_(false(), *(_says(column, subject) for column in texts))
                if count := connection.execute(
                    select(func.count()).select_from(table).where(held)
                ).scalar_one():
                    left[table.name] = int(count)
        return left

    def erase(self, subject: str, *, actor: str, at: datetime) -> Mapping[str, int]:
        """Overwrite every text that contains a subject, and all texts of a task of that id; return rows by table."""
        _check_subject(subject)
        counts: dict[str, int] = {}
        with self.database.write() as connection:
            items = tuple(
                connection.execute(
                    select(review_items.c.item_id).where(_holds(review_items, subject)).limit(READ_MAX)
                ).scalars()
            )
            for table in _TEXTS:
                counts[table.name] = _overwrite(connection, table, subject, items, at=at, actor=actor)
            _rename_erased(connection)
            _close_erased(connection, at=at, actor=actor)
            append_decision(
                connection,
                kind="subject.erased",
                agent="pilothouse",
                at=at,
                actor=actor,
                document={"rows": counts},
            )
        self.database.forget_log()
        return counts


def _holds(table: Table, subject: str) -> ColumnElement[bool]:
    found = [_says(table.c[name], subject) for name in _TEXTS[table]]
    if "trace_id" in table.c:
        found.append(table.c.trace_id == subject)
    return or_(*found)


def _says(column: ColumnElement[str], subject: str) -> ColumnElement[bool]:
    """Whether a text contains a subject: messages of agents are mostly JSON, in which names may be escaped."""
    return or_(*(column.contains(one, autoescape=True) for one in spellings(subject)))


def _overwrite(
    connection: Connection, table: Table, subject: str, items: Sequence[str], *, at: datetime, actor: str
) -> int:
    """Overwrite whole texts, not words in them: the rest of a sentence can still identify a person."""
    chosen = _holds(table, subject)
    if "item_id" in table.c:  # what was made from an item that holds the subject goes with it
        chosen = or_(chosen, table.c.item_id.in_(items))
    rows = connection.execute(select(*table.primary_key).where(chosen)).all()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        here = tuple_(*table.primary_key).in_([tuple(row) for row in rows[start : start + _ROWS_AT_ONCE]])
        if table.name in LOGGED:
            with logged_change(connection, table, here, at=at, actor=actor):
                _empty(connection, table, here)
        else:
            _empty(connection, table, here)
    return len(rows)


def _empty(connection: Connection, table: Table, here: ColumnElement[bool]) -> None:
    values: dict[str, Any] = {
        name: case((table.c[name].is_(None), None), else_="[]" if name == "used" else ERASED)
        for name in _TEXTS[table]
    }
    if table is review_items:  # made of the texts, or of a name of the conversation, without a salt
        values |= dict.fromkeys(("call_digest", "content_digest"), digest_of_erased(table.c.item_id))
        values["conversation"] = None
    if "salt" in table.c:  # with the old one a guess at the text could still be held against the log
        values["salt"] = fresh_salt()
    connection.execute(update(table).where(here).values(**values))


def _rename_erased(connection: Connection) -> None:
    """Give erased feedback another id: the first one is a digest of the text, against which a guess could be checked."""
    column = feedback.c
    gone = and_(column.text == ERASED, column.feedback_id.not_like(f"{_OF_ERASED}%"))
    for one in connection.execute(select(column.feedback_id).where(gone)).scalars().all():
        fresh = f"{_OF_ERASED}{secrets.token_hex(16)}"
        connection.execute(update(feedback).where(column.feedback_id == one).values(feedback_id=fresh))


def _close_erased(connection: Connection, *, at: datetime, actor: str) -> None:
    """Close items whose text was erased: outputs that wait for delivery are rejected, items that wait for a label stay unlabelled."""
    item = review_items.c
    is_gone = and_(item.state.in_([state.value for state in OPEN_STATES]), item.proposal == ERASED)
    ids = connection.execute(select(item.item_id).where(is_gone)).scalars().all()
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        here = item.item_id.in_(ids[start : start + _ROWS_AT_ONCE])
        with logged_change(connection, review_items, here, at=at, actor=actor):
            connection.execute(
                update(review_items)
                .where(here)
                .values(**{**NOBODY, "note": "its texts were erased"}, state=ItemState.UNSURE.value)
            )


def _check_subject(subject: str) -> None:
    if len(subject.strip()) < SUBJECT_CHARS_MIN:
        raise UsageError(
            f"a subject has {SUBJECT_CHARS_MIN} characters or more: an address, a number of a customer, a trace id",
            remedy="Give it as it stands in the texts, for example `pilothouse erase kim@customer.example`.",
        )
