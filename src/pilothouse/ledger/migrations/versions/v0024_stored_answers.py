# SPDX-License-Identifier: Apache-2.0
"""Whose the answers are that providers keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0024"
down_revision = "0021"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gateway_answers",
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_gateway_answers"),
    )
    op.create_index("ix_gateway_answers_day", "gateway_answers", ["day", "agent"])
