# SPDX-License-Identifier: Apache-2.0
"""Where people are reached stands in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Give each address a salt, and name it in the log."""
    adopt_rows("contacts", salted="identity")
