# SPDX-License-Identifier: Apache-2.0
"""Whether the calls of a key of the gateway must be recorded, as whoever launched the agent chose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the column; keys of before chose nothing, and what is usual holds."""
    op.add_column("gateway_keys", sa.Column("record", sa.String(16), nullable=True))
