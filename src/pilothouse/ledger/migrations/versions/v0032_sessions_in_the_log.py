# SPDX-License-Identifier: Apache-2.0
"""Sign-in links and sessions stand in the audit log; what is there already is adopted as it stands."""

from __future__ import annotations

from pilothouse.ledger.adoption import adopt_rows

__all__ = ["upgrade"]

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Name every row in the log."""
    adopt_rows("sign_in_links")
    adopt_rows("sessions")
