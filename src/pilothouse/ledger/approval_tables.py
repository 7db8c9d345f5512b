# SPDX-License-Identifier: Apache-2.0
"""The tables of approvals: each request with its state, and each person's vote."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from pilothouse.ledger.schema import METADATA

__all__ = ["approval_votes", "approvals"]

approvals = Table(
    "approvals",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("call_digest", String(64), nullable=False, index=True),
    Column("agent", String(64), nullable=False),
    Column("tool", String(160), nullable=False),
    Column("run", String(64), nullable=False),
    Column("requester", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("policy", String(80), nullable=False),
    Column("needs", Integer, nullable=False),
    Column("canary", Integer, nullable=False),
    Column("asked_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("salt", String(32), nullable=False, server_default=""),
    Index(None, "agent", "state", "asked_us"),
)
"""One exact call each; the document holds what an approver is shown."""

approval_votes = Table(
    "approval_votes",
    METADATA,
    Column("approval", String(64), primary_key=True),
    Column("actor", String(256), primary_key=True),
    Column("allows", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)
"""What each person said; one answer each."""
