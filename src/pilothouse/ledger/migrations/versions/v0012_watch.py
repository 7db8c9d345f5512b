# SPDX-License-Identifier: Apache-2.0
"""What the detectors of the watch remember, and what they said of each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "watch_states",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("agent", "task_type", "detector", name="pk_watch_states"),
    )
    op.create_table(
        "watch_readings",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("detector", sa.String(32), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("layer", sa.String(8), nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("agent", "day", "task_type", "detector", name="pk_watch_readings"),
    )
    op.create_index("ix_watch_readings_settled", "watch_readings", ["settled"])
