# SPDX-License-Identifier: Apache-2.0
"""Keep telemetry as long as each charter says and its regulations demand, and price it again when a price is added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pilothouse.errors import CharterError
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.upkeep import LakeUpkeep, RetentionRule
from pilothouse.workflows.ground.in_force import charter_of
from pilothouse.workflows.ground.retention_rule import retention_rule

__all__ = [
    "RETENTION_KIND",
    "apply_retention",
    "reprice",
    "retention_rules",
]

REPRICE_WINDOW = timedelta(days=31)
"""Verdicts look back 28 days: an older cost is history, and stays as it was reported."""

RETENTION_KIND: Final = "retention.applied"


def retention_rules(ledger: Ledger) -> Sequence[RetentionRule]:
    """Return the rule of every chartered agent; a charter that cannot be read keeps everything for now."""
    forever = 100 * 365
    rules = []
    for record in ledger.charters():
        try:
            rules.append(retention_rule(charter_of(record)))
        except CharterError:
            rules.append(
                RetentionRule(
                    agent=record.agent, payload_days=forever, spans_days=forever, tasks_days=forever
                )
            )
    return tuple(rules)


def apply_retention(lake: LakeUpkeep, ledger: Ledger, now: datetime) -> int:
    """Take away what is older than the charters say, and write down what was.

    Returns:
        Rows that were removed or emptied.
    """
    removed = lake.retain(retention_rules(ledger))
    for one in removed:
        before = datetime(1970, 1, 1, tzinfo=now.tzinfo) + timedelta(days=one.before_day)
        ledger.record(
            kind=RETENTION_KIND,
            agent=one.agent,
            at=now,
            actor="pilothouse up",
            document=json.dumps({"what": one.what, "before": f"{before:%Y-%m-%d}", "rows": one.rows}),
        )
    return sum(one.rows for one in removed)


def reprice(lake: LakeUpkeep, now: datetime) -> int:
    """Give the tasks of open windows the costs that are known now; return how many were corrected."""
    return lake.reprice(since_ns=int((now - REPRICE_WINDOW).timestamp()) * 10**9)
