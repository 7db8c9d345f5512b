# SPDX-License-Identifier: Apache-2.0
"""When a key of the gateway was last used, so that one that nobody needs can be revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add the column; of keys of before nobody knows when they were used, until they are again."""
    op.add_column("gateway_keys", sa.Column("used_us", sa.BigInteger(), nullable=True))
