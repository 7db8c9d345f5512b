# SPDX-License-Identifier: Apache-2.0
"""Approvals, the answers to them and incidents stand in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the salts, and name every row in the log."""
    adopt_rows("approvals", salted="id")
    adopt_rows("approval_votes")
    adopt_rows("incidents", salted="number")
