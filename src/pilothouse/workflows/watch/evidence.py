# SPDX-License-Identifier: Apache-2.0
"""What the watch puts on record for the verdict: drops, delays against promises, cost monitor, drift, uptime, overrides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Unpack

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.evidence import WARNINGS, WORTH, Evidence, Scope
from pilothouse.core.evidence.recorded import Found, recorded
from pilothouse.core.evidence.unix_time import midnight
from pilothouse.core.evidence.watched import DetectorStatus
from pilothouse.core.verdict.numbers import apart, days_long, percentage
from pilothouse.errors import Conflict
from pilothouse.ports.watch import WatchReading, WatchStep
from pilothouse.workflows.ground.every_agent import Faults
from pilothouse.workflows.ground.phase_log import phase_at
from pilothouse.workflows.review.label_rates import BURST
from pilothouse.workflows.watch.context import CONTEXT
from pilothouse.workflows.watch.further_cost import FurtherCost
from pilothouse.workflows.watch.room import WatchRoom
from pilothouse.workflows.watch.row import independent_cases
from pilothouse.workflows.watch.rules import TRAFFIC
from pilothouse.workflows.watch.status import read_lately, watch_status

__all__ = ["RecordWriter", "record_watch_evidence", "watch_evidence"]

WINDOW = timedelta(days=7)

EVIDENCE, COST, CHARTER = "evidence", "cost_per_task", "charter"
DAYS_OF_VERSION_MIN = 3
"""Counted days that a version must have served before the drop detector speaks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWriter:
    """Makes records of one agent at one moment, over the last seven days of what was counted.

    Attributes:
        charter: The charter in force.
        now: The moment, aware UTC.
    """

    charter: Charter
    now: datetime

    def record(
        self,
        kind: str,
        end: date,
        *,
        scope: Scope | None = None,
        version: str | None = None,
        since: date | None = None,
        **found: Unpack[Found],
    ) -> Evidence:
        """Return what was found up to the end of a day, of the last seven or since another one."""
        until = min(midnight(end + timedelta(days=1)), self.now)
        return recorded(
            kind,
            self.charter,
            self.now,
            command="pilothouse watch tick",
            scope=scope,
            version=version,
            since=until - WINDOW if since is None else midnight(since),
            until=until,
            **found,
        )


def record_watch_evidence(watch: WatchRoom, now: datetime) -> int:
    """Write the records of every agent whose days moved on since the last time; return how many were new.

    Raises:
        Exception: The first fault, after the records of the other agents were written.
    """
    added, faults = 0, Faults()
    whole = watch.room.watch.whole()
    for agent, charter in watch.directory.charters().items():
        states = whole.get(agent, {})
        cursor, kept = states.get(TRAFFIC), states.get(EVIDENCE)
        moved = {
            detector: state.version
            for detector, state in states.items()
            if detector not in {EVIDENCE, CONTEXT}
        }
        # Records are bound to the charter as it is: after an edit the same days are said anew.
        said = {**moved, CHARTER: charter.digest}
        if cursor is None or (kept is not None and json.loads(kept.document) == said):
            continue
        step = WatchStep(
            task_type="",
            detector=EVIDENCE,
            before=0 if kept is None else kept.version,
            document=canonical_json(said),
        )
        # In a conflict another process wrote the same records; equal ones count once.
        with faults.apart(), suppress(Conflict):
            added += watch.room.installation.ledger.add_evidence(list(watch_evidence(watch, charter, now)))
            watch.room.watch.advance(agent, [step])
    faults.raise_first()
    return added


def watch_evidence(watch: WatchRoom, charter: Charter, now: datetime) -> Iterator[Evidence]:
    """Yield what the detectors of an agent say to the verdict now."""
    write = RecordWriter(charter=charter, now=now)
    lately = read_lately(watch.room.watch, charter.agent, now.date())
    status = watch_status(watch.room.watch, charter, now.date(), readings=lately)
    since = (now - 2 * WINDOW).date()
    readings = [one for one in lately if one.day >= since]
    traffic = [one for one in readings if one.detector == "traffic"]
    yield from _drops(write, status.detectors, traffic)
    yield from _delays(write, charter, status.detectors, now)
    yield from _week(write, charter, readings, _of_the_phase(watch, charter, now))
    for row in status.detectors:
        if _is_armed_cost(row) and row.counted_to is not None:
            detail = f"armed on {row.n:,} windows, at most {row.false_alarms_per_year:.2g} alerts a year: {row.note}"
            yield write.record("cost.monitor", row.counted_to, n=max(row.n, 1), passed=True, detail=detail)
    yield from _further_costs(write, status.further)
    yield from _drift(watch, write, readings)


def _drops(
    write: RecordWriter, rows: Sequence[DetectorStatus], traffic: Sequence[WatchReading]
) -> Iterator[Evidence]:
    """Whether quality left its band, for the version that serves, once it has served some counted days."""
    for row in rows:
        if row.metric != "quality" or row.counted_to is None or row.state in {"blind", "learning"}:
            continue
        days = [
            json.loads(one.document)["version"]
            for one in traffic
            if one.task_type == row.task_type
            and one.day <= row.counted_to
            and _own_tasks(json.loads(one.document))
        ]
        version = days[-1] if days else None
        served = next((i for i, one in enumerate(reversed(days)) if one != version), len(days))
        if not days or (served < DAYS_OF_VERSION_MIN and row.state != "alarm"):
            continue
        share, line = ("unknown" if one is None else percentage(one) for one in (row.value, row.line))
        if row.value is not None and row.line is not None:
            share, line = apart(row.value, row.line)
        passed = row.state not in {"alarm", "warning"}
        words = f"no alarm; quality {share} over 28 counted days, its line is {line}"
        if not passed:
            when = f" on {calendar_day(row.alarmed)}" if row.alarmed else ""
            words = f"{row.state}{when}; quality {share} over 28 counted days, its line is {line}. {row.note}"
        yield write.record(
            "quality_drop",
            row.counted_to,
            n=max(row.n, 1),
            passed=passed,
            detail=words.strip(),
            scope=Scope(task_type=row.task_type),
            version=version,
        )


def _delays(
    write: RecordWriter, charter: Charter, rows: Sequence[DetectorStatus], now: datetime
) -> Iterator[Evidence]:
    """The derived delay of each rule at the agent's real volume, held against what the charter promises."""
    for rule in known(charter.alerts) or ():
        mine = [row for row in rows if row.rule == rule.id]
        within = None if rule.detect_within is None else known(rule.detect_within)
        # Without a promise nothing is kept or broken; a delay that nobody knows is never a kept one.
        if (
            within is None
            or not mine
            or any(row.counted_to is None and row.delay_days is None for row in mine)
        ):
            continue
        blind = [row for row in mine if row.delay_days is None]
        promised = within / timedelta(days=1)
        # Without a rise that it would notice, a monitor of cost that is armed notices none: that is known.
        if blind and all(not row.delays and not _is_armed_cost(row) for row in blind):
            continue
        worst = max((row.delay_days for row in mine if row.delay_days is not None), default=None)
        slow = blind[0] if blind else max(mine, key=lambda row: row.delay_days or 0.0)
        said = "never" if blind or worst is None else f"after {days_long(worst, bound=promised)} days"
        passed = not blind and worst is not None and worst <= promised
        where = f" of {slow.task_type}" if slow.task_type else ""
        fall = (
            f"a fall{where} of the size it is about is noticed {said} at {slow.cases_per_day:.0f} cases a day"
        )
        if slow.metric == COST:
            fall = f"a lasting rise is noticed {said}: {slow.note}"
        detail = f"rule {rule.id}: {fall}; promised within {promised:g} days"
        yield write.record(
            "alert.delay",
            slow.counted_to or now.date(),
            n=max(slow.n, 1),
            passed=passed,
            detail=detail,
            scope=Scope(part=rule.id),
        )


def _is_armed_cost(row: DetectorStatus) -> bool:
    """Whether a row is the monitor of cost with the windows that it needs, also while an alarm of earlier days stands."""
    return row.metric == COST and row.n > 0


def _of_the_phase(watch: WatchRoom, charter: Charter, now: datetime) -> Sequence[WatchReading]:
    """Return the traffic since phase 1 began, whole days; none in another phase.

    Uptime is a criterion of leaving phase 1, over all of it: by its last week alone an outage of days was forgotten in time.
    """
    state = phase_at(watch.room.installation.ledger, charter.agent, now)
    if state.phase != "1" or state.since is None:
        return ()
    first = state.since.date() + timedelta(days=1)
    return watch.room.watch.readings(charter.agent, since=first, detector="traffic")


def _week(
    write: RecordWriter,
    charter: Charter,
    readings: Sequence[WatchReading],
    of_the_phase: Sequence[WatchReading] = (),
) -> Iterator[Evidence]:
    """Uptime of the agent and replaced answers of each task type, over the last seven counted days; uptime of phase 1 over it."""
    traffic = [one for one in readings if one.detector == "traffic"]
    if traffic:
        end = traffic[-1].day
        counted = [one for one in traffic if (end - one.day).days < WINDOW.days]
        since = min((one.day for one in of_the_phase), default=end)
        if since <= counted[0].day:
            counted = list(of_the_phase)
        documents = [json.loads(one.document) for one in counted]
        minutes, served = (sum(one[key] for one in documents) for key in ("minutes", "served"))
        if minutes:
            first = min(one.day for one in counted)
            yield write.record("uptime", end, since=first, n=minutes, good=served)
    for name in charter.task_types:
        own = [one for one in readings if one.detector == "override" and one.task_type == name]
        if not own:
            continue
        end = own[-1].day
        version, days = _served_by([one for one in traffic if one.task_type == name and one.day <= end])
        week = [
            _own_cases(json.loads(one.document))
            for one in own
            if (end - one.day).days < WINDOW.days and (days is None or one.day in days)
        ]
        n, good = sum(one["n"] for one in week), sum(one["good"] for one in week)
        if n:
            where, worth = Scope(task_type=name), independent_cases(week)
            counts = {WORTH: worth} if worth < n else {}
            yield write.record("override", end, scope=where, version=version, n=n, good=good, counts=counts)


def _served_by(traffic: Sequence[WatchReading]) -> tuple[str | None, set[date] | None]:
    """Return the version that serves, and the days that are its own; None where no other served in these weeks.

    Readings count all tasks of a day and are bound to one version, so the day on which it began is nobody's.
    """
    told = [(one.day, found["version"]) for one in traffic if _own_tasks(found := json.loads(one.document))]
    if not told:
        return None, None
    version = told[-1][1]
    others = [day for day, one in told if one != version]
    if not others:
        return version, None
    own = sorted(day for day, _ in told if day > others[-1])
    return version, set(own[1:])


def _own_tasks(traffic: Mapping[str, int]) -> int:
    """Tasks of a day that no stand-in answered; all of them on days that were counted before these were told apart."""
    return traffic.get("own", traffic["tasks"])


def _own_cases(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a day's detector counted of the tasks that no stand-in answered; all of it on days from before."""
    found: Mapping[str, Any] = said.get("own", said)
    return found


def _further_costs(write: RecordWriter, further: Sequence[FurtherCost]) -> Iterator[Evidence]:
    """What a finished task cost beside its model calls, where the charter counts it."""
    for one in further:
        low, high = one.money.low, one.money.low if one.money.high is None else one.money.high
        yield write.record(
            "cost.further",
            one.until,
            scope=Scope(task_type=one.task_type),
            n=one.tasks,
            value=(low + high) / 2,
            low=low,
            high=high,
            method="ranges of the charter, end with end",
            detail=one.basis,
            counts=dict.fromkeys(one.parts, 1),
        )


def _drift(watch: WatchRoom, write: RecordWriter, readings: Sequence[WatchReading]) -> Iterator[Evidence]:
    """Whether the weekly tests ran, and whether an alarm led to labels."""
    looks = [one for one in readings if one.detector == "drift"]
    if not looks:
        return
    newest = looks[-1]
    document: Mapping[str, object] = json.loads(newest.document)
    if not document["p"]:
        return
    answered = True
    if document["changed"]:
        since = (newest.day - timedelta(days=20)).isoformat()
        bursts = watch.room.installation.ledger.decisions(newest.agent, kind=BURST, limit=50)
        answered = any(json.loads(one.document)["to"] >= since for one in bursts)
    said = f"the week to {calendar_day(newest.day)}: {document['detail']}"
    if document["changed"]:
        said += "; labels were bought" if answered else "; no labels were bought for it"
    # Drift is a reason to label and never a breach; an alarm that nobody labels for is a warning.
    yield write.record(
        "drift.looked",
        newest.day,
        n=max(int(str(document["n"])), 1),
        passed=True,
        detail=said,
        counts={} if answered else {WARNINGS: 1},
    )
