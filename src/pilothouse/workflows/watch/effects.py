# SPDX-License-Identifier: Apache-2.0
"""What follows from a reading of the watch: a warning buys labels, an alarm opens or continues an incident."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.statistics.quality import quality_interval
from pilothouse.core.statistics.results import Estimate
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.watch.bursts import buy_labels
from pilothouse.workflows.watch.errors import ERRORS
from pilothouse.workflows.watch.judge import JUDGE
from pilothouse.workflows.watch.labels import pooled
from pilothouse.workflows.watch.missed import MissedAlarm, is_history, missed_alarms, missed_sentence
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.words import alarm_sentence

__all__ = ["Settled", "settle_all"]


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
    a day are bought once (`watch_bursts`). What an agent says whose charter cannot be read waits until it can.

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
        name: buy_labels(ledger, charter, name, reading.detector, now)
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
