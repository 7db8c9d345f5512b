# SPDX-License-Identifier: Apache-2.0
"""Approvals of exact calls, and what was used of each budget."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("call_digest", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("tool", sa.String(160), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("requester", sa.String(256), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("policy", sa.String(80), nullable=False),
        sa.Column("needs", sa.Integer, nullable=False),
        sa.Column("canary", sa.Integer, nullable=False),
        sa.Column("asked_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_index("ix_approvals_call_digest", "approvals", ["call_digest"])
    op.create_index("ix_approvals_agent_state_asked_us", "approvals", ["agent", "state", "asked_us"])
    op.create_table(
        "approval_votes",
        sa.Column("approval", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("allows", sa.Integer, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("approval", "actor", name="pk_approval_votes"),
    )
    op.create_table(
        "permission_uses",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("tool", sa.String(160), nullable=False),
        sa.Column("scope", sa.String(80), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "tool", "scope", "what", name="pk_permission_uses"),
    )
