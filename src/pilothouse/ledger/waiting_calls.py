# SPDX-License-Identifier: Apache-2.0
"""Counts the calls that wait for a person, by agent, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from pilothouse.ledger.approval_tables import approvals
from pilothouse.ledger.database import Database
from pilothouse.ledger.schema import from_micros, to_micros
from pilothouse.ports.approvals import CallsWaiting

__all__ = ["SqlWaitingCalls"]


class SqlWaitingCalls:
    """`ports.WaitingCalls` on the ledger; it needs neither the audit log nor its keys, because it reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, now: datetime) -> Sequence[CallsWaiting]:
        """Return how many calls wait for approval, by agent name; agents without any are absent."""
        query = (
            select(approvals.c.agent, func.count(), func.min(approvals.c.expires_us))
            .where(approvals.c.state == "pending", approvals.c.expires_us > to_micros(now))
            .group_by(approvals.c.agent)
            .order_by(approvals.c.agent)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            CallsWaiting(agent=agent, waiting=waiting, first_lapse=from_micros(first))
            for agent, waiting, first in rows
        )
