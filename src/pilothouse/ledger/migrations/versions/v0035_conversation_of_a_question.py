# SPDX-License-Identifier: Apache-2.0
"""Which conversation a question of the review queue is of: labels of its turns go wrong together, and are worth fewer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Add the column; questions of before name none, and count one by one until they are too old to be counted."""
    op.add_column("review_items", sa.Column("conversation", sa.String(64), nullable=True))
