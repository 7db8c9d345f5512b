# SPDX-License-Identifier: Apache-2.0
"""Results of tool calls are kept encrypted; those that were kept as plain text are forgotten."""

from __future__ import annotations

from alembic import op

__all__ = ["upgrade"]

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Forget the results; a repetition of such a call is told that it was made."""
    op.execute("UPDATE tool_calls SET result = NULL")
