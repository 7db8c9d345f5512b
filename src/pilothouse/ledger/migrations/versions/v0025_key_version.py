# SPDX-License-Identifier: Apache-2.0
"""Which version was launched with a key of the gateway."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column; keys of before say nothing, and the files beside the charter say which version calls."""
    op.add_column("gateway_keys", sa.Column("version", sa.String(64), nullable=True))
