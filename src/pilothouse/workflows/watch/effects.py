# SPDX-License-Identifier: Apache-2.0
"""What follows from a reading of the watch: a warning buys labels, an alarm opens or continues an incident."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.statistics.quality import quality_interval
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.statistics.warning import BURST_EVERY_DAYS
from pilothouse.ports.ledger import Ledger
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.review.label_rates import (
    BURST,
    BURSTS_READ_MAX,
    capacity_per_day,
    labels_per_day,
    rates_fixed,
)
from pilothouse.workflows.watch.errors import ERRORS
from pilothouse.workflows.watch.judge import BURST_TIMES, JUDGE
from pilothouse.workflows.watch.labels import pooled
from pilothouse.workflows.watch.missed import MissedAlarm, is_history, missed_alarms, missed_sentence
from pilothouse.workflows.watch.quality import SUSPICION
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.words import alarm_sentence

__all__ = ["Burst", "Settled", "next_burst", "settle_all"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What warnings and alarms led to.

    Attributes:
        opened: Incidents that were opened.
        missed: Alarms about days that were history when they were counted: they called nobody.
    """

    opened: int
    missed: tuple[MissedAlarm, ...]


def settle_all(watch: WatchRoom, now: datetime) -> Settled:
    """Let every warning and alarm have its effect that has not had it yet.

    A kill between effect and mark repeats the effect, which changes nothing: an alert joins its own incident, and labels of
    a day are bought once (`next_burst`). What an agent says whose charter cannot be read waits until it can.

    Raises:
        Exception: The first fault, after all others had their effect.
    """
    opened, faults = 0, Faults()
    charters = watch.directory.charters()
    waiting = [one for one in watch.room.watch.unsettled() if one.agent in charters]
    missed = _missed(waiting)
    for agent, said in missed.items():
        with faults.apart():
            firing = Firing(agent=agent, metric="watch", sentence=missed_sentence(said), layer="warning")
            raise_alert(watch.room, firing, now)
    for reading in waiting:
        with faults.apart():
            opened += not is_history(reading) and _effect(watch, charters[reading.agent], reading, now)
            watch.room.watch.settle(reading)
    faults.raise_first()
    return Settled(opened=opened, missed=tuple(one for said in missed.values() for one in said))


def _effect(watch: WatchRoom, charter: Charter, reading: WatchReading, now: datetime) -> bool:
    """Let a reading have its effect; return whether that opened an incident."""
    document = json.loads(reading.document)
    if reading.layer == "warning":
        _warn(watch, charter, reading, document, now)
        return False
    return _alarm(watch, reading, document, now)


def _missed(waiting: Sequence[WatchReading]) -> dict[str, tuple[MissedAlarm, ...]]:
    """Alarms that called nobody, by agent."""
    agents = dict.fromkeys(one.agent for one in waiting)
    found = {agent: missed_alarms([one for one in waiting if one.agent == agent]) for agent in agents}
    return {agent: missed for agent, missed in found.items() if missed}


def _alarm(watch: WatchRoom, reading: WatchReading, document: Mapping[str, Any], now: datetime) -> bool:
    firing = Firing(
        agent=reading.agent,
        metric=document.get("metric", reading.detector),
        sentence=_sentence(watch, reading, document),
        task_type=reading.task_type or None,
        traces=tuple(document.get("traces", ())),
        onset=midnight(date.fromisoformat(document.get("risen") or reading.day.isoformat())),
        once=True,
    )
    return raise_alert(watch.room, firing, now).opened


def _warn(
    watch: WatchRoom, charter: Charter, reading: WatchReading, document: Mapping[str, Any], now: datetime
) -> None:
    types = [reading.task_type] if reading.task_type else list(charter.task_types)
    if reading.detector == ERRORS:
        types = []  # a failure is known without a label
    ledger = watch.room.installation.ledger
    bought = {
        name: _buy_labels(ledger, charter, name, reading.detector, now)
        for name in types
        if name in charter.task_types
    }
    said = _sentence(watch, reading, document)
    labels = ", ".join(f"{count} labels a day for {name}" for name, count in bought.items() if count)
    firing = Firing(
        agent=reading.agent,
        metric=document.get("metric", reading.detector),
        sentence=f"{said} Bought: {labels}." if labels else said,
        task_type=reading.task_type or None,
        layer="warning",
    )
    raise_alert(watch.room, firing, now)


def _sentence(watch: WatchRoom, reading: WatchReading, document: Mapping[str, Any]) -> str:
    said = document.get("sentence")
    if said:
        return str(said)
    if reading.detector == JUDGE:
        share = 100 * document["good"] / document["n"]
        return f"The judge passes fewer tasks of {reading.task_type}: {share:.1f} % on {calendar_day(reading.day)}."
    risen = date.fromisoformat(document["risen"])
    since = [
        json.loads(one.document)
        for one in watch.room.watch.readings(reading.agent, since=risen, detector=reading.detector)
        if one.task_type == reading.task_type and one.day <= reading.day
    ]
    n, good = _cases(since)
    return alarm_sentence(reading.detector, reading.task_type, document, n=n, good=good)


def _cases(documents: list[dict[str, Any]]) -> tuple[int, int]:
    """Cases and good ones of some days; of labels, the plain sample with the same share."""
    if documents and "tallies" in documents[0]:
        days = [{name: tuple(tally) for name, tally in one["tallies"].items()} for one in documents]
        strata = [one for one in pooled(days) if one.judged]
        labelled = sum(one.labelled for one in strata)
        estimate = quality_interval(strata) if strata else None
        share = estimate.value if isinstance(estimate, Estimate) else _weighted(strata)
        return labelled, round(share * labelled)
    return sum(one["n"] for one in documents), sum(one["good"] for one in documents)


def _weighted(strata: list[Any]) -> float:
    """Share of good answers of strata with too few labels for an interval."""
    total = sum(one.judged for one in strata)
    return sum(one.judged / total * (one.good + 0.5) / (one.labelled + 1) for one in strata) if total else 0.0


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


def _buy_labels(ledger: Ledger, charter: Charter, name: str, by: str, now: datetime) -> int:
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
