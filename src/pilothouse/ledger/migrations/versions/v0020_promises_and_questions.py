# SPDX-License-Identifier: Apache-2.0
"""Answers of models that come later are kept, and questions of the review queue and faults of drills stand in the audit log.

What is there already is adopted as it stands.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the table, add the salt of a question, and name every question and fault in the log."""
    op.create_table(
        "gateway_promises",
        sa.Column("answer_id", sa.String(128), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("call_id", sa.String(16), nullable=False),
        sa.Column("identity", sa.String(16), nullable=False),
        sa.Column("parent", sa.String(16), nullable=True),
        sa.Column("launch", sa.String(64), nullable=True),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("fallback", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("is_stream", sa.Boolean, nullable=False),
        sa.Column("began_ns", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Text, nullable=True),
        sa.Column("charter", sa.Text, nullable=True),
        sa.Column("task_type", sa.Text, nullable=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("usd_pico", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("answer_id", "agent", name="pk_gateway_promises"),
    )
    op.create_index("ix_gateway_promises_began_ns", "gateway_promises", ["began_ns"])
    adopt_rows("review_items", salted="item_id")
    adopt_rows("planted_faults")
