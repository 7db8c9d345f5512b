# SPDX-License-Identifier: Apache-2.0
"""What stood in the files that a charter names when it came into force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the column; of charters of before nobody looked at the files."""
    op.add_column("charters", sa.Column("files", sa.Text(), nullable=True))
