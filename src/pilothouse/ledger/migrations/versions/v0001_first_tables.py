# SPDX-License-Identifier: Apache-2.0
"""The first tables: charters, evidence, outcomes, verdicts, decisions and prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "charters",
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("accepted_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "number", name="pk_charters"),
    )
    op.create_table(
        "evidence",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_evidence"),
    )
    op.create_index("ix_evidence_agent_recorded_us", "evidence", ["agent", "recorded_us"])
    op.create_table(
        "outcomes",
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("version_digest", sa.Text, nullable=True),
        sa.Column("task_start_ns", sa.BigInteger, nullable=False),
        sa.Column("claim", sa.Text, nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("found", sa.Text, nullable=False),
        sa.Column("critical", sa.String(64), nullable=True),
        sa.Column("verifier", sa.Text, nullable=False),
        sa.Column("verified_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_agent_task_start_ns", "outcomes", ["agent", "task_start_ns"])
    op.create_table(
        "verdicts",
        sa.Column("sequence", sequence, nullable=False, autoincrement=True),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_verdicts"),
        sa.UniqueConstraint("agent", "digest", name="uq_verdicts_agent_digest"),
    )
    op.create_index("ix_verdicts_agent_at_us", "verdicts", ["agent", "at_us"])
    op.create_table(
        "decisions",
        sa.Column("sequence", sequence, nullable=False, autoincrement=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_decisions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decisions_agent_sequence", "decisions", ["agent", "sequence"])
    op.create_table(
        "prices",
        sa.Column("provider", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("token_class", sa.String(16), nullable=False),
        sa.Column("valid_from_us", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("valid_to_us", sa.BigInteger, nullable=True),
        sa.Column("micro_usd_per_million", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_date", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("provider", "model", "token_class", "valid_from_us", name="pk_prices"),
    )
