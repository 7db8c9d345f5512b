# SPDX-License-Identifier: Apache-2.0
"""Whose the conversations are that providers keep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gateway_conversations",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_gateway_conversations"),
    )
    op.create_index("ix_gateway_conversations_agent", "gateway_conversations", ["agent"])
