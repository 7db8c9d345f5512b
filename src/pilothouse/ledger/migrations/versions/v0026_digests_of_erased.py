# SPDX-License-Identifier: Apache-2.0
"""Questions whose texts were erased lose the digests that were made of them, and held outputs are found by their task."""

from __future__ import annotations

from alembic import op

from pilothouse.ledger.adoption import forget_digests

__all__ = ["upgrade"]

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the index, and overwrite what a guess at an erased text could be held against."""
    op.create_index("ix_review_items_trace_id", "review_items", ["trace_id"], if_not_exists=True)
    forget_digests()
