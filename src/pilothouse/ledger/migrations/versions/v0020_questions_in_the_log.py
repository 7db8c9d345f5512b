# SPDX-License-Identifier: Apache-2.0
"""Questions of the review queue and faults of drills stand in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the salt of a question, and name every row in the log."""
    adopt_rows("review_items", salted="item_id")
    adopt_rows("planted_faults")
