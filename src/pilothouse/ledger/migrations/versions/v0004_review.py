# SPDX-License-Identifier: Apache-2.0
"""The review queue: items, answers and drafts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "review_items",
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Text, nullable=True),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("proposal", sa.Text, nullable=False),
        sa.Column("used", sa.Text, nullable=False),
        sa.Column("call_digest", sa.String(64), nullable=False),
        sa.Column("content_digest", sa.String(64), nullable=False),
        sa.Column("confidence", sa.Float, nullable=True),
        sa.Column("error_cost_micros", sa.BigInteger, nullable=True),
        sa.Column("probability", sa.Float, nullable=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("pair_of", sa.String(64), nullable=True),
        sa.Column("only_for", sa.String(64), nullable=True),
        sa.Column("known", sa.Text, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(64), nullable=True),
        sa.Column("held_until_us", sa.BigInteger, nullable=True),
        sa.Column("correction", sa.Text, nullable=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("item_id", name="pk_review_items"),
    )
    op.create_index("ix_review_items_agent_state_due_us", "review_items", ["agent", "state", "due_us"])
    op.create_index("ix_review_items_content_digest", "review_items", ["content_digest"])
    op.create_table(
        "review_labels",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("reviewer", sa.String(64), nullable=False),
        sa.Column("answer", sa.String(16), nullable=False),
        sa.Column("correction", sa.Text, nullable=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("rubric", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("undone_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_review_labels"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_review_labels_item_id", "review_labels", ["item_id"])
    op.create_index("ix_review_labels_agent_at_us", "review_labels", ["agent", "at_us"])
    op.create_index("ix_review_labels_reviewer_at_us", "review_labels", ["reviewer", "at_us"])
    op.create_table(
        "review_drafts",
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("reviewer", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("item_id", "reviewer", name="pk_review_drafts"),
    )
