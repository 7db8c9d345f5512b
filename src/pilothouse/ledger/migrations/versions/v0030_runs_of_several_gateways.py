# SPDX-License-Identifier: Apache-2.0
"""What runs have spent that came near their limits, for the other gateways of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gateway_runs",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("usd_pico", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "run", name="pk_gateway_runs"),
    )
    op.create_index("ix_gateway_runs_at", "gateway_runs", ["at_us"])
