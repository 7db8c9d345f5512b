# SPDX-License-Identifier: Apache-2.0
"""Feedback in the ledger: one row for each statement, with a limit for each task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Float, Index, String, Table, Text, exists, func, insert, select

from pilothouse.errors import LimitExceeded
from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import METADATA, from_micros, to_micros
from pilothouse.ports.feedback import FEEDBACK_PER_TASK_MAX, Feedback, FeedbackKind

__all__ = ["SqlFeedback", "feedback"]

READ_MAX = 10_000
"""Rows of one answer; a page of counts needs no more."""

feedback = Table(
    "feedback",
    METADATA,
    Column("feedback_id", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", Float, nullable=True),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", String(16), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index(None, "agent", "at_us"),
    Index(None, "trace_id"),
)
"""What users said; the id makes saying it twice one row."""


class SqlFeedback(Repository):
    """`ports.FeedbackStore` on the ledger."""

    def add(self, said: Feedback) -> bool:
        """Store feedback; False for a repetition."""
        column = feedback.c
        with self.database.write() as connection:
            if connection.execute(
                select(exists().where(column.feedback_id == said.feedback_id))
            ).scalar_one():
                return False
            count = connection.execute(
                select(func.count()).where(column.trace_id == said.trace_id)
            ).scalar_one()
            if count >= FEEDBACK_PER_TASK_MAX:
                raise LimitExceeded(
                    f"{count} things were said about this task already",
                    remedy="The review queue has it; `pilothouse review` shows it.",
                    subject=said.trace_id,
                )
            connection.execute(
                insert(feedback).values(
                    feedback_id=said.feedback_id,
                    agent=said.agent,
                    trace_id=said.trace_id,
                    kind=said.kind.value,
                    value=said.value,
                    text=said.text,
                    actor=said.actor,
                    via=said.via,
                    at_us=to_micros(said.at),
                )
            )
        return True

    def of(self, agent: str, *, since: datetime | None = None) -> Sequence[Feedback]:
        """Return the feedback about an agent's tasks, newest first, at most 10,000."""
        column = feedback.c
        wanted = select(feedback).where(column.agent == agent)
        if since is not None:
            wanted = wanted.where(column.at_us >= to_micros(since))
        wanted = wanted.order_by(column.at_us.desc(), column.feedback_id).limit(READ_MAX)
        with self.database.read() as connection:
            return tuple(
                Feedback(
                    agent=row.agent,
                    trace_id=row.trace_id,
                    kind=FeedbackKind(row.kind),
                    value=row.value,
                    text=row.text,
                    actor=row.actor,
                    via=row.via,
                    at=from_micros(row.at_us),
                )
                for row in connection.execute(wanted)
            )
