# SPDX-License-Identifier: Apache-2.0
"""Virtual keys, providers and spending of the model gateway."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gateway_keys",
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(64), nullable=True),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("spans", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=True),
        sa.Column("revoked_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("prefix", name="pk_gateway_keys"),
    )
    op.create_table(
        "gateway_providers",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("credential_variable", sa.String(128), nullable=True),
        sa.Column("credential_file", sa.Text, nullable=True),
        sa.Column("region", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_gateway_providers"),
    )
    op.create_table(
        "gateway_spent",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("usd_pico", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("estimated", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("agent", "day", name="pk_gateway_spent"),
    )
