# SPDX-License-Identifier: Apache-2.0
"""Keep telemetry as long as each charter says and its regulations demand, and price it again when a price is added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.errors import CharterError
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.upkeep import LakeUpkeep, RetentionRule
from pilothouse.workflows.ground.in_force import charter_of

__all__ = [
    "REGULATION_DAYS",
    "RETENTION_KIND",
    "apply_retention",
    "reprice",
    "retention_rule",
    "retention_rules",
]

PAYLOAD_DAYS: Final = 30
SPANS_DAYS: Final = 90
TASKS_DAYS: Final = 730
"""Where a charter leaves the question open."""

REGULATION_DAYS: Final[Mapping[str, int]] = {"ai-act": 183, "eu-ai-act": 183, "eu_ai_act": 183}
"""Regulation → days for which logs of what the system did must be kept; the AI Act asks deployers for six months
(Art. 26). It asks for events, not for what was said."""

REPRICE_WINDOW = timedelta(days=31)
"""Verdicts look back 28 days: an older cost is history, and stays as it was reported."""

RETENTION_KIND: Final = "retention.applied"


def retention_rule(charter: Charter) -> RetentionRule:
    """Return how long the telemetry of a chartered agent is kept."""
    least = max((REGULATION_DAYS.get(str(name), 0) for name in known(charter.regulations) or ()), default=0)

    def days(answer: timedelta | None, otherwise: int) -> int:
        return otherwise if answer is None else max(1, -(-answer // timedelta(days=1)))

    kept = charter.retention
    payload = days(known(kept.payload), PAYLOAD_DAYS)
    spans = max(payload, least, days(known(kept.spans), SPANS_DAYS))
    return RetentionRule(
        agent=charter.agent,
        payload_days=payload,
        spans_days=spans,
        tasks_days=max(spans, days(known(kept.tasks), TASKS_DAYS)),
    )


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
