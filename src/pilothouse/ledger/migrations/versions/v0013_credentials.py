# SPDX-License-Identifier: Apache-2.0
"""Where credentials of outside systems stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "credentials",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("variable", sa.String(128), nullable=True),
        sa.Column("file", sa.Text, nullable=True),
        sa.Column("host", sa.String(260), nullable=True),
        sa.Column("expires_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_credentials"),
    )
