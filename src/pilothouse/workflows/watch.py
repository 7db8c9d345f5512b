# SPDX-License-Identifier: Apache-2.0
"""The watch: every finished day of every agent goes through its detectors once; warnings buy labels, alarms open incidents.

A tick may run any number of times and in any process: a day is counted in the transaction that moves the state, and
what follows from it (`workflows/watch_effects.py`) is marked done only when it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import TypeAdapter

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.review import ItemState, ReviewSource
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.type_day import TypeDay, fold_type_days
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.statistics.rates import RateState
from pilothouse.errors import Conflict
from pilothouse.ports.feedback import FeedbackKind, FeedbackStore
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.review import ItemRecord, ReviewQueue
from pilothouse.ports.watch import WatchReading, WatchState, WatchStep
from pilothouse.workflows.alerts import rule_for
from pilothouse.workflows.control_room import ControlRoom
from pilothouse.workflows.label_rates import capacity_per_day, labels_per_day, rates_fixed
from pilothouse.workflows.people import Directory
from pilothouse.workflows.second_opinions import LABEL_TERM
from pilothouse.workflows.strata import judged_by, strata_of
from pilothouse.workflows.watch_quality import (
    JudgeState,
    QualityState,
    close_labels,
    judge_errors,
    look_at_judge,
    look_at_labels,
)
from pilothouse.workflows.watch_rules import TRAFFIC, TRUTH, arl_days, watched_rates

__all__ = ["AGENTS_AT_ONCE", "ALERT_DAYS_MAX", "BACK_DAYS_MAX", "LABELS", "WatchRoom", "advance_all"]

LABELS = "labels"
"""When a day is finished for quality by labels: everything that was drawn is answered, or its term is over."""

CLOSINGS = (TRAFFIC, TRUTH, LABELS)

LATE = timedelta(hours=1)
"""How long after midnight a day is counted: late spans have arrived by then, as for the stability clock."""

SAID_WITHIN = timedelta(days=1)
"""How long people may take to override or complain; what comes later stands in the review queue."""

BACK_DAYS_MAX = 400
"""Days of imported history that are gone through: a year and its season."""

DAYS_AT_ONCE = 31
"""Days of one agent in one tick; the next tick takes the rest, so that no other agent waits long."""

AGENTS_AT_ONCE = 10
"""Agents whose days are counted in one tick: about a second of work; the next tick takes the others."""

ALERT_DAYS_MAX = 14
"""An alarm about an older day is history: it is kept, and nobody is called for it."""

OPEN = (ItemState.WAITING, ItemState.CLAIMED)

_SAID = {
    "override": FeedbackKind.OVERRIDE,
    "complaint": FeedbackKind.COMPLAINT,
    "correction": FeedbackKind.CORRECTION,
}

_RATES: TypeAdapter[dict[str, RateState]] = TypeAdapter(dict[str, RateState])
_JUDGE: TypeAdapter[JudgeState] = TypeAdapter(JudgeState)
_QUALITY: TypeAdapter[QualityState] = TypeAdapter(QualityState)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRoom:
    """What the watch needs.

    Attributes:
        room: Opened parts with incidents and pager.
        queue: Labels.
        said: What users said.
        directory: The charters, kept parsed.
    """

    room: ControlRoom
    queue: ReviewQueue
    said: FeedbackStore
    directory: Directory


def advance_all(watch: WatchRoom, now: datetime) -> int:
    """Count every finished day that is not counted yet; return how many were.

    Args:
        watch: Opened parts.
        now: The moment, aware UTC.
    """
    counted = moved = 0
    first_seen: Mapping[str, int] | None = None
    whole = watch.room.watch.whole()
    for agent, charter in watch.directory.charters().items():
        cursors = whole.get(agent, {})
        if first_seen is None and any(closes not in cursors for closes in CLOSINGS):
            first_seen = {one.agent: one.first_ns for one in watch.room.installation.lake.agents()}
        one = _AgentWatch(watch, charter, cursors, now, first_ns=(first_seen or {}).get(agent))
        if not one.is_due():
            continue
        try:
            days = one.advance()
        except Conflict:
            continue  # another process counted this day; its numbers are the same
        counted, moved = counted + days, moved + bool(days)
        if moved >= AGENTS_AT_ONCE:
            break
    return counted


@dataclass(slots=True)
class _Day:
    """One day of an agent as it was read."""

    start: datetime
    tasks: Sequence[Task]
    by_type: dict[str, list[Task]] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def date(self) -> date:
        return self.start.date()


class _AgentWatch:
    """One agent in one tick."""

    def __init__(
        self,
        watch: WatchRoom,
        charter: Charter,
        cursors: Mapping[str, WatchState],
        now: datetime,
        *,
        first_ns: int | None,
    ) -> None:
        self._watch = watch
        self._charter = charter
        self._cursors = cursors
        self._states: Mapping[tuple[str, str], WatchState] = {}
        self._now = now
        self._first_ns = first_ns
        self._read: dict[date, _Day] = {}
        self._documents: dict[tuple[str, str], Any] = {}
        self._readings: dict[tuple[str, str], list[WatchReading]] = {}

    def advance(self) -> int:
        """Go through the closings one after the other; each is stored by itself."""
        self._states = self._watch.room.watch.states(self._charter.agent)
        return sum(self._cursor(closes) for closes in CLOSINGS)

    def is_due(self) -> bool:
        """Whether a day may be finished by one of the closings; looks at cursors only, and at who is waited for."""
        for closes in CLOSINGS:
            following = next(self._due(closes), None)
            if following is not None and (closes != LABELS or not self._is_waiting(following)):
                return True
        return False

    def _cursor(self, closes: str) -> int:
        days = list(self._due(closes))
        counted = 0
        for day in days:
            if not self._count(closes, day):
                break
            counted += 1
            self._documents["", closes] = {"last": day.isoformat()}
        if counted:
            self._store()
        return counted

    def _due(self, closes: str) -> Iterator[date]:
        kept = self._states.get(("", closes), self._cursors.get(closes))
        late = SAID_WITHIN if closes == TRUTH else LATE
        latest = (self._now - late).date() - timedelta(days=1)
        if kept is not None:
            following = date.fromisoformat(json.loads(kept.document)["last"]) + timedelta(days=1)
        elif self._first_ns is not None:
            first = datetime.fromtimestamp(self._first_ns / 1e9, UTC).date()
            following = max(first, latest - timedelta(days=BACK_DAYS_MAX))
        else:
            return
        for offset in range(min((latest - following).days + 1, DAYS_AT_ONCE)):
            yield following + timedelta(days=offset)

    def _day(self, day: date) -> _Day:
        found = self._read.get(day)
        if found is None:
            start = datetime.combine(day, time.min, tzinfo=UTC)
            low, high = unix_ns(start), unix_ns(start + timedelta(days=1))
            installation, agent = self._watch.room.installation, self._charter.agent
            tasks = installation.lake.window(TaskFilter(agent=agent, from_ns=low, to_ns=high))
            outcomes = installation.ledger.outcomes(agent, from_ns=low, to_ns=high)
            found = _Day(start=start, tasks=tasks, outcomes={one.trace_id: one for one in outcomes})
            for task in tasks:
                found.by_type.setdefault(task.task_type, []).append(task)
            self._read = {day: found}
        return found

    def _count(self, closes: str, day: date) -> bool:
        if closes == LABELS:
            return self._count_labels(day)
        read = self._day(day)
        folded = self._fold(read, closes)
        if closes == TRUTH and self._is_unsettled(read, folded):
            return False
        for name in self._charter.task_types:
            states = self._document(name, closes, _RATES) or {}
            counts = folded.get(name, TypeDay())
            for watched in watched_rates(self._charter, closes):
                if watched.task_type == name:
                    n, good = counts.rates.get(watched.counted, (0, 0))
                    before = states.get(watched.metric, RateState())
                    states[watched.metric], reading = watched.watch.update(before, day, n, good)
                    document: dict[str, object] = {
                        "n": n,
                        "good": good,
                        "line": reading.line,
                        "e": reading.e_value,
                        "threshold": reading.threshold,
                        "missing": reading.missing,
                    }
                    if reading.alarm:
                        document["traces"] = counts.bad.get(watched.counted, [])
                        document["risen"] = str(states[watched.metric].risen or day)
                    self._say(
                        name, watched.metric, day, document, watched.layer if reading.alarm else "quiet"
                    )
            self._documents[name, closes] = states
            if closes == TRAFFIC:
                self._say(name, "traffic", day, _traffic(counts))
        if closes == TRAFFIC:
            self._count_judge(read)
        return True

    def _fold(self, read: _Day, closes: str) -> dict[str, TypeDay]:
        said: dict[str, set[str]] = {}
        if closes == TRUTH:
            found = self._watch.said.of(self._charter.agent, since=read.start) if read.tasks else ()
            said = {name: {one.trace_id for one in found if one.kind is kind} for name, kind in _SAID.items()}
        ceilings = {
            name: float(ceiling)
            for name, terms in self._charter.task_types.items()
            if (ceiling := known(terms.latency.p95_s)) is not None
        }
        return fold_type_days(
            read.tasks, read.outcomes, day_start_ns=unix_ns(read.start), ceilings_s=ceilings, said=said
        )

    def _is_unsettled(self, read: _Day, folded: Mapping[str, TypeDay]) -> bool:
        """Whether claims of a day are still to be settled."""
        end = read.start + timedelta(days=1)
        longest = max(
            (
                retry
                for terms in self._charter.task_types.values()
                if terms.verifier is not None and (retry := known(terms.verifier.retry_for)) is not None
            ),
            default=timedelta(),
        )
        return any(one.pending for one in folded.values()) and self._now < end + longest + LATE

    def _judged(self, read: _Day) -> dict[str, dict[str, bool]]:
        if not read.tasks or all(
            quality_is_outcome(self._charter, name) for name in self._charter.task_types
        ):
            return {}
        end = min(read.start + timedelta(days=1) + LATE, self._now)
        scores = self._watch.room.installation.lake.scores(from_ns=unix_ns(read.start), to_ns=unix_ns(end))
        return judged_by(self._charter, scores)

    def _count_judge(self, read: _Day) -> None:
        judged = self._judged(read)
        for name, terms in self._charter.task_types.items():
            verdicts = judged.get(str(terms.metric), {})
            scored = [
                verdicts[one.trace_id] for one in read.by_type.get(name, ()) if one.trace_id in verdicts
            ]
            state = self._document(name, "judge", _JUDGE) or JudgeState()
            if not scored and state == JudgeState():
                continue
            quality = self._document(name, LABELS, _QUALITY) or QualityState()
            errors = judge_errors(quality)
            after, bought, evidence = look_at_judge(
                state,
                read.date,
                len(scored),
                sum(scored),
                j=0.0 if errors is None else sum(errors) - 1,
                labels=labels_per_day(self._charter, name, len(scored)),
                capacity=int(capacity_per_day(self._charter)),
            )
            self._documents[name, "judge"] = after
            document = {"n": len(scored), "good": sum(scored), "e": evidence, "labels": bought}
            self._say(name, "judge", read.date, document, "quiet" if bought is None else "warning")

    def _count_labels(self, day: date) -> bool:
        types = [name for name in self._charter.task_types if not quality_is_outcome(self._charter, name)]
        if not types:
            return True
        if self._is_waiting(day):
            return False
        rates = rates_fixed(self._watch.room.installation.ledger, self._charter.agent, day.isoformat())
        read = self._day(day)
        if rates is None and read.tasks and self._now < read.start + timedelta(days=1) + LABEL_TERM:
            return False
        items = self._items(read)
        judged = self._judged(read)
        closed = {}
        for name in types:
            own = read.by_type.get(name, [])
            names, strata = strata_of(self._charter, name, own, read.outcomes, judged)
            drawn = {trace: items[trace] for trace in (one.trace_id for one in own) if trace in items}
            closed[name] = close_labels(names, strata, drawn, (rates or {}).get(name, {}), self._now)
            if closed[name] is None:
                return False
        for name, labelled in closed.items():
            assert labelled is not None  # noqa: S101 - the loop above has returned otherwise
            rule = rule_for(self._charter, "quality", name)
            before = self._document(name, LABELS, _QUALITY) or QualityState()
            after, look = look_at_labels(
                self._charter, name, before, day, labelled, arl_days=arl_days(rule), detectors=len(types)
            )
            self._documents[name, LABELS] = after
            document: dict[str, object] = {
                "tallies": {stratum: list(tally) for stratum, tally in labelled.tallies.items()},
                "line": look.line,
                "e": look.e_value,
                "threshold": look.threshold,
                "missing": look.missing,
                "proved": None if look.proved is None else look.proved.isoformat(),
                "certification": look.certification,
            }
            if look.alarm or look.proved:
                document["traces"] = list(labelled.bad)
                document["risen"] = str(after.risen or before.risen or day)
            loud = "verdict" if rule is not None else "warning"
            self._say(name, "quality", day, document, loud if look.alarm or look.proved else "quiet")
        return True

    def _is_waiting(self, day: date) -> bool:
        """Whether people are still asked about tasks of a day; says so without reading its tasks."""
        start = datetime.combine(day, time.min, tzinfo=UTC)
        waiting = self._watch.queue.items(
            self._charter.agent, states=OPEN, sources=(ReviewSource.SAMPLED,), since=start
        )
        return any(
            self._now < one.item.due_at and one.item.created_at < start + timedelta(days=1)
            for one in waiting
            if one.item.pair_of is None
        )

    def _items(self, read: _Day) -> dict[str, ItemRecord]:
        traces = {task.trace_id for task in read.tasks}
        found = self._watch.queue.items(
            self._charter.agent, sources=(ReviewSource.SAMPLED,), since=read.start
        )
        return {
            one.item.trace_id: one
            for one in found
            if one.item.pair_of is None and one.item.trace_id in traces
        }

    def _document(self, name: str, detector: str, adapter: TypeAdapter[Any]) -> Any:
        if (name, detector) in self._documents:
            return self._documents[name, detector]
        kept = self._states.get((name, detector))
        return None if kept is None else adapter.validate_json(kept.document)

    def _say(
        self, name: str, detector: str, day: date, document: Mapping[str, object], layer: str = "quiet"
    ) -> None:
        old = (self._now.date() - day).days > ALERT_DAYS_MAX
        self._readings.setdefault((name, detector), []).append(
            WatchReading(
                agent=self._charter.agent,
                task_type=name,
                detector=detector,
                day=day,
                at=self._now,
                layer=layer,
                settled=layer == "quiet" or old,
                document=canonical_json(document),
            )
        )

    def _store(self) -> None:
        """Store what moved in one transaction, and go on from it."""
        steps = []
        said = dict(self._readings)
        for key, document in self._documents.items():
            kept = self._states.get(key)
            steps.append(
                WatchStep(
                    task_type=key[0],
                    detector=key[1],
                    before=0 if kept is None else kept.version,
                    document=_text(document),
                )
            )
        # Readings ride on the cursor's step: all of them belong to the days that it moved over.
        cursor = next(index for index, step in enumerate(steps) if not step.task_type)
        steps[cursor] = WatchStep(
            task_type="",
            detector=steps[cursor].detector,
            before=steps[cursor].before,
            document=steps[cursor].document,
            readings=tuple(one for readings in said.values() for one in readings),
        )
        self._watch.room.watch.advance(self._charter.agent, steps)
        moved = {
            (step.task_type, step.detector): WatchState(version=step.before + 1, document=step.document)
            for step in steps
        }
        self._states = {**self._states, **moved}
        self._documents.clear()
        self._readings.clear()


def _text(document: Any) -> str:
    if isinstance(document, QualityState):
        return _QUALITY.dump_json(document).decode()
    if isinstance(document, JudgeState):
        return _JUDGE.dump_json(document).decode()
    if document and all(isinstance(one, RateState) for one in document.values()):
        return _RATES.dump_json(document).decode()
    return canonical_json(document)


def _traffic(counts: TypeDay) -> dict[str, object]:
    """What a day leaves for cost, uptime and error categories."""
    return {
        "tasks": counts.tasks,
        "usd": [round(value, 9) for value in counts.cost_usd] if any(counts.priced) else [],
        "priced": counts.priced if any(counts.priced) else [],
        "unpriced": counts.unpriced,
        "errors": dict(counts.errors.most_common(10)),
        "minutes": len(counts.minutes),
        "served": sum(counts.minutes.values()),
        "version": counts.version,
    }
