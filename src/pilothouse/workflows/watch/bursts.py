# SPDX-License-Identifier: Apache-2.0
"""Labels that warnings buy: for which days, and how often at most."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.statistics.warning import BURST_EVERY_DAYS
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.review.label_rates import (
    BURST,
    BURSTS_READ_MAX,
    capacity_per_day,
    labels_per_day,
    rates_fixed,
)
from pilothouse.workflows.watch.judge import BURST_TIMES, JUDGE
from pilothouse.workflows.watch.quality import SUSPICION

__all__ = ["Burst", "buy_labels", "next_burst"]

BURST_DAYS = 10
"""Length of a burst of labels, days."""

SUSPICION_DAYS_MAX = 20
"""Days of a suspicion that buy labels within twice as many: quality that stays at its line would buy them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Days for which more labels were bought.

    Attributes:
        first: The first of them.
        last: The last one.
        by: The detector that warned.
    """

    first: date
    last: date
    by: str


def next_burst(bought: Sequence[Burst], by: str, first: date) -> Burst | None:
    """Return what a warning buys of a task type; None where enough was bought.

    A suspicion buys the next day and no more, for it is looked at again in the night after it. The judge has one burst in
    `BURST_EVERY_DAYS`, and all other detectors have one together: a false warning of another does not take the judge's.

    Args:
        bought: What was bought for the task type before.
        by: The detector that warns.
        first: The first day whose labels can still be bought.

    Example:
        >>> judge = next_burst([], "judge", date(2026, 11, 2))
        >>> judge.last.isoformat(), next_burst([judge], "judge", date(2026, 11, 12))
        ('2026-11-11', None)
        >>> next_burst([judge], "suspicion", date(2026, 11, 12)).last.isoformat()
        '2026-11-12'
    """
    if by == SUSPICION:
        lately = first - timedelta(days=2 * SUSPICION_DAYS_MAX)
        spent = sum(one.by == SUSPICION and one.first > lately for one in bought)
        covered = any(one.first <= first <= one.last for one in bought)
        return None if covered or spent >= SUSPICION_DAYS_MAX else Burst(first=first, last=first, by=by)
    same = [one for one in bought if one.by != SUSPICION and (one.by == JUDGE) == (by == JUDGE)]
    if any((first - one.first).days < BURST_EVERY_DAYS for one in same):
        return None
    return Burst(first=first, last=first + timedelta(days=BURST_DAYS - 1), by=by)


def buy_labels(ledger: Ledger, charter: Charter, name: str, by: str, now: datetime) -> int:
    """Raise the labels of a task type for some days; return to how many a day, 0 where nothing is bought.

    Nothing is bought where the system of record is the metric. Chances of a label are fixed before a day, so whatever buys
    them leaves the weights, and with them the promise about false alarms, as they are.

    Args:
        ledger: Where decisions stand.
        charter: The charter in force.
        name: Task type.
        by: The detector that warns.
        now: The moment, aware UTC.
    """
    if quality_is_outcome(charter, name):
        return 0
    first = now.date()
    if rates_fixed(ledger, charter.agent, first.isoformat()) is not None:
        first += timedelta(days=1)
    burst = next_burst(_bought(ledger, charter.agent, name), by, first)
    if burst is None:
        return 0
    capacity = capacity_per_day(charter)
    labels = int(min(BURST_TIMES * labels_per_day(charter, name, capacity), capacity))
    ledger.record(
        kind=BURST,
        agent=charter.agent,
        at=now,
        actor="watch",
        document=canonical_json(
            {
                "task_type": name,
                "labels": labels,
                "from": burst.first.isoformat(),
                "to": burst.last.isoformat(),
                "by": by,
            }
        ),
    )
    return labels


def _bought(ledger: Ledger, agent: str, name: str) -> list[Burst]:
    """What was bought for a task type, newest first."""
    documents = [
        json.loads(one.document) for one in ledger.decisions(agent, kind=BURST, limit=BURSTS_READ_MAX)
    ]
    return [
        Burst(first=date.fromisoformat(one["from"]), last=date.fromisoformat(one["to"]), by=one.get("by", ""))
        for one in documents
        if one["task_type"] == name
    ]
