# SPDX-License-Identifier: Apache-2.0
"""When each record of evidence arrived, and the items of each agent as they were decided last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column and the table; what is there already arrived before everything that comes."""
    op.add_column("evidence", sa.Column("arrived", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_evidence_agent_arrived", "evidence", ["agent", "arrived"])
    op.create_table(
        "dockets",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("form", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("arrived", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("agent", name="pk_dockets"),
    )
