# SPDX-License-Identifier: Apache-2.0
"""Whether a threshold still keeps its budget: every drawn answer since is a bet against it, and an alarm takes it away.

A threshold is valid while traffic looks like its labels. When answers get worse at every confidence, nothing about the
threshold itself shows it; only labels of answers that went out alone do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from pilothouse.core.evidence.effective_counts import cases_of_a_day
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.review import ItemState
from pilothouse.core.statistics.audit import AuditDay, AuditReading, ThresholdAudit
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.gateway.routing_in_force import FRESH, THRESHOLD
from pilothouse.workflows.review.label_sampling import drawn_of, sampled_in
from pilothouse.workflows.review.label_thinning import evenly_drawn

__all__ = ["QUIET_DAYS", "RoutingAudit", "audit_routing"]

QUIET_DAYS = 365.0
"""Mean days to a false alarm over all routed task types of an agent: a false one holds every answer for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingAudit:
    """What was seen of the answers that no person saw first.

    Attributes:
        alone: Drawn and decided answers that went out alone, in order of their drawing.
        wrong: Those among them that people did not accept.
        evenly: What one chance would have drawn since the first of them, held and silent answers too: the budget is for each task.
        wrong_evenly: Those among these that went out alone and that people did not accept.
        wrong_silent: Those among these that state no confidence and that people did not accept: streams, which are sent before anybody
            can look at them, and held ones, and nothing tells the two apart.
        alarm: What was said on the day of the last alarm, or None.
        alarmed_on: That day, or None.
        latest: What was said of the last closed day, or None.
    """

    alone: tuple[ItemRecord, ...]
    wrong: tuple[ItemRecord, ...]
    evenly: int = 0
    wrong_evenly: tuple[ItemRecord, ...] = ()
    wrong_silent: tuple[ItemRecord, ...] = ()
    alarm: AuditReading | None = None
    alarmed_on: date | None = None
    latest: AuditReading | None = None


def audit_routing(
    records: Sequence[ItemRecord],
    thresholds: Iterable[Evidence],
    name: str,
    version: str | None,
    *,
    silent: Sequence[ItemRecord] = (),
    budget: float,
    task_types: Sequence[str],
    now: datetime,
) -> RoutingAudit:
    """Go through the closed days since the first threshold.

    A day is closed when it is over and each answer drawn on it was decided, or its time is over. Its labels are thinned
    to one chance, and held ones count as answers that cannot be wrong alone, so what is tested is the budget for each task.

    Args:
        records: Drawn answers of the agent that state a confidence.
        thresholds: Records of thresholds, of every routed type.
        name: Task type.
        version: Version that is asked about.
        silent: Drawn answers that state none: no threshold speaks of them, and they are part of the traffic all the same.
        budget: Wrong answers without a person for each task, in (0, 0.5).
        task_types: Routed task types: they share the false alarms, and the strictest threshold of all was obeyed.
        now: The moment, aware UTC.
    """
    obeyed = [_Obeyed(thresholds, one, version) for one in task_types]
    drawn = sorted(sampled_in(records, name, version), key=lambda one: one.item.created_at)
    alone = tuple(one for one in drawn if _went_alone(one, obeyed))
    audit = ThresholdAudit(budget, 1.0, QUIET_DAYS * len(task_types))
    state, latest, alarm, alarmed_on = audit.start(), None, None, None
    evenly: list[ItemRecord] = []
    if alone:
        since = alone[0].item.created_at
        traffic = [*drawn, *sampled_in(silent, name, version)]
        evenly = evenly_drawn([one for one in traffic if one.item.created_at >= since])
        last = _first_open_day(records, name, version, now)
        for counts in _closed_days(drawn, alone, last):
            state, latest = audit.update(state, counts)
            if latest.alarm:
                alarm, alarmed_on = latest, counts.day
    wrong = _not_accepted(alone)
    missed = {one.item.item_id for one in wrong}
    return RoutingAudit(
        alone=alone,
        wrong=wrong,
        evenly=len(evenly),
        wrong_evenly=tuple(one for one in evenly if one.item.item_id in missed),
        wrong_silent=_not_accepted(one for one in evenly if one.item.confidence is None),
        alarm=alarm,
        alarmed_on=alarmed_on,
        latest=latest,
    )


def _first_open_day(records: Sequence[ItemRecord], name: str, version: str | None, now: datetime) -> date:
    """Return the first day of which something is still to come: today, or one with an answer that is waited for."""
    waited = (
        one.item.created_at.date()
        for one in drawn_of(records, name, version)
        if one.state.is_open and one.item.due_at > now
    )
    return min(waited, default=now.date())


def _closed_days(drawn: Sequence[ItemRecord], alone: Sequence[ItemRecord], end: date) -> Iterator[AuditDay]:
    """Yield the days from the first answer that went out alone, before the first open one."""
    gone = {one.item.item_id for one in alone}
    first = alone[0].item.created_at.date()
    for day, given in groupby(drawn, key=lambda one: one.item.created_at.date()):
        if first <= day < end:
            kept = evenly_drawn(list(given))
            unseen = [one for one in kept if one.item.item_id in gone]
            wrong = {one.item.item_id for one in _not_accepted(unseen)}
            tasks, good, worth = cases_of_a_day(
                [one.item.item_id not in wrong for one in kept], [one.item.conversation for one in kept]
            )
            audited = min(len(unseen), tasks)  # conversations that run away are left out
            yield AuditDay(
                day=day, tasks=tasks, automatic=audited, audited=audited, wrong=tasks - good, worth=worth
            )


class _Obeyed:
    """The thresholds of one task type, as a gateway obeyed them over time."""

    def __init__(self, thresholds: Iterable[Evidence], name: str, version: str | None) -> None:
        own = [one for one in thresholds if _is_of(one, name, version)]
        self._records = sorted(own, key=lambda one: one.window_to)
        self._times = [one.window_to for one in self._records]

    def at(self, moment: datetime) -> float | None:
        """Return the threshold in force, or None where every answer was held."""
        place = bisect_right(self._times, moment)
        newest = self._records[place - 1] if place else None
        if newest is None or not newest.passed or moment - newest.window_to > FRESH:
            return None
        return newest.value


def _is_of(record: Evidence, name: str, version: str | None) -> bool:
    return record.kind == THRESHOLD and record.scope.task_type == name and record.binds.version == version


def _went_alone(record: ItemRecord, obeyed: Sequence[_Obeyed]) -> bool:
    found = [one.at(record.item.created_at) for one in obeyed]
    valid = [one for one in found if one is not None]
    return len(valid) == len(found) and (record.item.confidence or 0.0) >= max(valid)


def _not_accepted(records: Iterable[ItemRecord]) -> tuple[ItemRecord, ...]:
    return tuple(one for one in records if one.state is not ItemState.ACCEPTED)
