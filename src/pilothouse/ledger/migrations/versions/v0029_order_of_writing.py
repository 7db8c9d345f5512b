# SPDX-License-Identifier: Apache-2.0
"""The index of what stands, made of the records by their windows and by the order in which they were written."""

from __future__ import annotations

from alembic import op

from pilothouse.ledger.evidence_index import rebuild_index

__all__ = ["upgrade"]

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Make the index again: what was written after the clock had gone back has a place in it now."""
    rebuild_index(op.get_bind())
