# SPDX-License-Identifier: Apache-2.0
"""What runs have spent, as rows that the gateways of one ledger add to; only of runs that came near a limit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, delete, insert, select, update

from pilothouse.ledger.database import Repository
from pilothouse.ledger.schema import METADATA, to_micros
from pilothouse.ports.gateway import RUN_SPENDING_LIFE, RUNS_LEARNT_MAX, Spent

__all__ = ["SqlRunSpending", "gateway_runs"]

gateway_runs = Table(
    "gateway_runs",
    METADATA,
    Column("agent", String(64), primary_key=True),
    Column("run", String(32), primary_key=True),
    Column("usd_pico", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("ix_gateway_runs_at", "at_us"),
)
"""What each run has spent, by all gateways together."""


class SqlRunSpending(Repository):
    """`ports.RunSpending` on the ledger."""

    def add(self, spent: Mapping[tuple[str, str], Spent], at: datetime) -> None:
        """Add to what runs spent, and forget those that nobody has added to for a day."""
        if not spent:
            return
        at_us = to_micros(at)
        with self.database.write() as connection:
            connection.execute(
                delete(gateway_runs).where(gateway_runs.c.at_us < to_micros(at - RUN_SPENDING_LIFE))
            )
            for (agent, run), more in spent.items():
                changed = connection.execute(
                    update(gateway_runs)
                    .where((gateway_runs.c.agent == agent) & (gateway_runs.c.run == run))
                    .values(
                        usd_pico=gateway_runs.c.usd_pico + more.usd_pico,
                        tokens=gateway_runs.c.tokens + more.tokens,
                        calls=gateway_runs.c.calls + more.calls,
                        at_us=at_us,
                    )
                )
                if not changed.rowcount:
                    connection.execute(
                        insert(gateway_runs).values(
                            agent=agent,
                            run=run,
                            usd_pico=more.usd_pico,
                            tokens=more.tokens,
                            calls=more.calls,
                            at_us=at_us,
                        )
                    )

    def since(self, at: datetime) -> Mapping[tuple[str, str], Spent]:
        """Return what the runs have spent that somebody added to since a moment, the latest."""
        newest = (
            select(gateway_runs)
            .where(gateway_runs.c.at_us >= to_micros(at))
            .order_by(gateway_runs.c.at_us.desc())
            .limit(RUNS_LEARNT_MAX)
        )
        with self.database.read() as connection:
            rows = connection.execute(newest).all()
        return {
            (row.agent, row.run): Spent(usd_pico=row.usd_pico, tokens=row.tokens, calls=row.calls)
            for row in rows
        }
