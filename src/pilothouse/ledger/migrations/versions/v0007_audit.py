# SPDX-License-Identifier: Apache-2.0
"""The audit log: records, checkpoints and encrypted payloads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0007"
down_revision = "0006"

_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "audit_records",
        sa.Column("position", _POSITION, autoincrement=False, nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_records"),
    )
    op.create_index("ix_audit_records_agent_kind_position", "audit_records", ["agent", "kind", "position"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", _POSITION, autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoints"),
    )
    op.create_table(
        "audit_subjects",
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("person", sa.String(256), nullable=True),
        sa.Column("wrapped_key", sa.Text, nullable=True),
        sa.Column("erased_us", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("subject", name="pk_audit_subjects"),
        sa.UniqueConstraint("person", name="uq_audit_subjects_person"),
    )
    op.create_table(
        "audit_payloads",
        sa.Column("position", _POSITION, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position", "name", name="pk_audit_payloads"),
    )
    op.create_index("ix_audit_payloads_subject", "audit_payloads", ["subject"])
