# SPDX-License-Identifier: Apache-2.0
"""Calls that change something know their run, so that erasing a run reaches what they returned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the run; calls of before have none."""
    op.add_column("tool_calls", sa.Column("run", sa.String(32), nullable=True))
    op.create_index("ix_tool_calls_run", "tool_calls", ["run"])
