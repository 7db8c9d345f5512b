# SPDX-License-Identifier: Apache-2.0
"""The days of one agent as a tick reads them: many small days in one query, a large one by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.outcome_measures import quality_is_outcome
from pilothouse.core.evidence.review import OPEN_STATES, ReviewSource
from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.standing import answers_in_force
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.type_day import OVERRIDE, TypeDay, fold_type_days
from pilothouse.core.evidence.unix_time import midnight, unix_ns
from pilothouse.core.evidence.work import work_of
from pilothouse.ports.feedback import FeedbackKind
from pilothouse.ports.lake import TaskFilter
from pilothouse.ports.review import ItemRecord
from pilothouse.workflows.review.label_rates import DECIDED
from pilothouse.workflows.review.strata import judged_by
from pilothouse.workflows.watch.room import SAID_WITHIN, WatchRoom, counted_after
from pilothouse.workflows.watch.rules import TRUTH

__all__ = ["TASKS_AHEAD_MAX", "DayReader", "WatchedDay"]

TASKS_AHEAD_MAX = 20_000
"""Tasks that may lie in memory at once, about 40 MB: as many further days are read with a day as were this small."""

DAY = timedelta(days=1)

DECIDED_WITHIN = timedelta(days=14)
"""How long an item may have waited before it was decided; its term is five days."""


HEARD_WITHIN = timedelta(days=28)
"""How long ago somebody must have said anything for silence to mean that nobody had to: four weeks, the longest window of a verdict."""

_SAID = {
    OVERRIDE: FeedbackKind.OVERRIDE,
    "complaint": FeedbackKind.COMPLAINT,
    "correction": FeedbackKind.CORRECTION,
}


@dataclass(slots=True, kw_only=True)
class WatchedDay:
    """One day of an agent as it was read.

    Attributes:
        start: Its midnight, aware UTC.
        tasks: Its tasks in order of their start.
        outcomes: Their outcomes by trace.
        scores: Scores from its midnight until it is counted.
        by_type: The tasks by task type.
    """

    start: datetime
    tasks: list[Task] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    by_type: dict[str, list[Task]] = field(default_factory=dict)

    @property
    def date(self) -> date:
        """The day, UTC."""
        return self.start.date()


class DayReader:
    """Reads days of one agent in their order, each once for a closing."""

    def __init__(self, watch: WatchRoom, charter: Charter, now: datetime) -> None:
        self._watch = watch
        self._charter = charter
        self._now = now
        self._late = counted_after(charter)
        self._kept: dict[date, WatchedDay] = {}
        self._largest = TASKS_AHEAD_MAX
        self._ahead = 1

    def read(self, days: Sequence[date]) -> WatchedDay:
        """Return the first of some days; the others may be asked for next and are read with it while days are small.

        Args:
            days: Days in a row, at least one.
        """
        found = self._kept.get(days[0])
        if found is None:
            # Twice as many as the last time at most: traffic that grows by the day is met with few of them.
            ahead = min(TASKS_AHEAD_MAX // max(self._largest, 1), 2 * self._ahead)
            self._ahead = max(ahead, 1)
            self._fill(days[: self._ahead])
            found = self._kept[days[0]]
        return found

    def fold(self, read: WatchedDay, closes: str) -> dict[str, TypeDay]:
        """Return the counts of a day by task type, with what people said about it once they had their day.

        Args:
            read: The day.
            closes: Closing for which it is counted.
        """
        said: dict[str, set[str]] = {}
        is_heard = False
        if closes == TRUTH and read.tasks:
            found = self._watch.said.of(self._charter.agent, since=read.start - HEARD_WITHIN)
            said = {name: {one.trace_id for one in found if one.kind is kind} for name, kind in _SAID.items()}
            is_heard = any(one.at < read.start + DAY + SAID_WITHIN for one in found)
        ceilings = {
            name: float(ceiling)
            for name, terms in self._charter.task_types.items()
            if (ceiling := known(terms.latency.p95_s)) is not None
        }
        return fold_type_days(
            read.tasks,
            read.outcomes,
            day_start_ns=unix_ns(read.start),
            ceilings_s=ceilings,
            said=said,
            is_heard=is_heard,
            apart={task.trace_id for task in read.tasks}
            - {task.trace_id for task in own_work(self._charter, read.tasks)},
        )

    def judged(self, read: WatchedDay) -> dict[str, dict[str, bool]]:
        """Return the judges' verdicts on a day by metric and trace."""
        return judged_by(self._charter, read.scores) if read.scores else {}

    def is_waiting(self, day: date) -> bool:
        """Whether people are still asked about tasks of a day; says so without reading its tasks."""
        start = midnight(day)
        waiting = self._watch.queue.items(
            self._charter.agent, states=OPEN_STATES, sources=(ReviewSource.SAMPLED,), since=start
        )
        return any(
            self._now < one.item.due_at and one.item.created_at < start + DAY
            for one in waiting
            if one.item.pair_of is None
        )

    def decided(self, day: date) -> dict[str, int]:
        """Return how many items people decided on a day, by task type: held, sampled and second opinions alike.

        Args:
            day: The day, over.
        """
        start = midnight(day)
        found = self._watch.queue.items(self._charter.agent, states=DECIDED, since=start - DECIDED_WITHIN)
        return dict(
            Counter(
                one.item.task_type
                for one in found
                if one.decided_at is not None and start <= one.decided_at < start + DAY
            )
        )

    def drawn(self, read: WatchedDay) -> dict[str, ItemRecord]:
        """Return what was drawn from a day for a label, by trace."""
        traces = {task.trace_id for task in read.tasks}
        found = self._watch.queue.items(
            self._charter.agent, sources=(ReviewSource.SAMPLED,), since=read.start
        )
        return {
            one.item.trace_id: one
            for one in found
            if one.item.pair_of is None and one.item.trace_id in traces
        }

    def _fill(self, days: Sequence[date]) -> None:
        start, end = midnight(days[0]), midnight(days[-1]) + DAY
        low, high = unix_ns(start), unix_ns(end)
        installation, agent = self._watch.room.installation, self._charter.agent
        kept = {day: WatchedDay(start=midnight(day)) for day in days}
        found = installation.lake.window(TaskFilter(agent=agent, from_ns=low, to_ns=high))
        for task in work_of(self._charter, found):
            one = kept[_day_of(task.start_ns)]
            one.tasks.append(task)
            one.by_type.setdefault(task.task_type, []).append(task)
        days_of = {task.trace_id: one for one in kept.values() for task in one.tasks}
        answers = installation.ledger.outcomes(agent, from_ns=low, to_ns=high)
        for outcome in answers_in_force(self._charter, answers):
            if outcome.trace_id in days_of:
                days_of[outcome.trace_id].outcomes[outcome.trace_id] = outcome
        if days_of and self._is_judged:
            until = min(end + self._late, self._now)
            for score in installation.lake.scores(from_ns=low, to_ns=unix_ns(until)):
                self._keep(score, days_of)
        self._largest = max(len(one.tasks) for one in kept.values())
        self._kept = kept

    def _keep(self, score: Score, days_of: Mapping[str, WatchedDay]) -> None:
        """Keep a score with the day of its task, unless it came when that day was counted already."""
        day = days_of.get(score.trace_id)
        if day is not None and score.at_ns < unix_ns(day.start + DAY + self._late):
            day.scores.append(score)

    @property
    def _is_judged(self) -> bool:
        return not all(quality_is_outcome(self._charter, name) for name in self._charter.task_types)


def _day_of(at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).date()
