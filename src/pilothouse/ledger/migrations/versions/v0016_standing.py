# SPDX-License-Identifier: Apache-2.0
"""An index of the evidence that stands, so that a verdict reads no record whose place a newer one took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the columns and the table, and fill them from the records."""
    op.add_column("evidence", sa.Column("slot", sa.String(32), nullable=False, server_default=""))
    op.add_column("evidence", sa.Column("about", sa.String(32), nullable=False, server_default=""))
    op.add_column("evidence", sa.Column("version", sa.Text, nullable=False, server_default=""))
    op.add_column("evidence", sa.Column("window_to_us", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_evidence_agent_kind_recorded_us", "evidence", ["agent", "kind", "recorded_us"])
    op.create_index(
        "ix_evidence_agent_about_window_to_us_recorded_us",
        "evidence",
        ["agent", "about", "window_to_us", "recorded_us"],
    )
    op.create_table(
        "standing_evidence",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("about", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("window_to_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "about", "digest", name="pk_standing_evidence"),
    )
