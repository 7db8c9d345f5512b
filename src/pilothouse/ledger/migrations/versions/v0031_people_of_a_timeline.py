# SPDX-License-Identifier: Apache-2.0
"""Whom each line of an incident's timeline names, and where in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the column; of lines of before nobody wrote it down, and they stay as they are."""
    op.add_column("incident_events", sa.Column("people", sa.Text(), nullable=True))
