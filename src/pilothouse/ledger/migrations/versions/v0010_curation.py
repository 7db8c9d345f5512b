# SPDX-License-Identifier: Apache-2.0
"""Feedback, few-shot libraries and lineage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "feedback",
        sa.Column("feedback_id", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_agent_at_us", "feedback", ["agent", "at_us"])
    op.create_index("ix_feedback_trace_id", "feedback", ["trace_id"])
    op.create_table(
        "few_shots",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("example_id", sa.String(64), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "version", "example_id", name="pk_few_shots"),
    )
    op.create_index("ix_few_shots_agent_at_us", "few_shots", ["agent", "at_us"])
    op.create_table(
        "lineage",
        sa.Column("parent", sa.String(256), nullable=False),
        sa.Column("child", sa.String(256), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("parent", "child", name="pk_lineage"),
    )
    op.create_index("ix_lineage_child", "lineage", ["child"])
