# SPDX-License-Identifier: Apache-2.0
"""Prices, outcomes, labels, pauses and keys stand in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the salts, and name every row in the log."""
    adopt_rows("prices")
    adopt_rows("outcomes", salted="trace_id")
    adopt_rows("review_labels", salted="sequence")
    for table in ("controls", "gateway_keys", "gateway_providers", "credentials"):
        adopt_rows(table)
