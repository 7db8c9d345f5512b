# SPDX-License-Identifier: Apache-2.0
"""Fold tasks and outcomes of a window into evidence records: one for each kind, scope and version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.measurement import ITEMS_KEPT_MAX, Measurement
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.outcome_measures import (
    measure_critical,
    measure_discrepancy,
    measure_quality,
    measure_sampling,
    measure_unverifiable,
)
from pilothouse.core.evidence.stand_in import own_work
from pilothouse.core.evidence.standing import standing_outcomes
from pilothouse.core.evidence.surroundings import (
    measure_hosts,
    measure_models,
    measure_tools,
    measure_versions,
)
from pilothouse.core.evidence.task import Task, TaskResult, TaskState
from pilothouse.core.evidence.task_measures import (
    measure_completion,
    measure_cost,
    measure_escalation,
    measure_latency,
)
from pilothouse.core.evidence.unix_time import unix_ns
from pilothouse.core.evidence.work import PRODUCTION

__all__ = ["Window", "fold_volume", "fold_window", "released_versions", "version_in_force", "volume_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open span of time.

    Attributes:
        start: Aware UTC, inclusive.
        end: Aware UTC, exclusive.
        start_ns: The start in Unix nanoseconds, counted once: every task of a window is held against it.
        end_ns: The end in Unix nanoseconds.
    """

    start: datetime
    end: datetime
    start_ns: int = field(init=False, repr=False, compare=False)
    end_ns: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_ns", unix_ns(self.start))
        object.__setattr__(self, "end_ns", unix_ns(self.end))

    def holds(self, moment_ns: int) -> bool:
        """Return whether a moment lies inside.

        Example:
            >>> from datetime import UTC
            >>> Window(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(1970, 1, 2, tzinfo=UTC)).holds(0)
            True
        """
        return self.start_ns <= moment_ns < self.end_ns

    @property
    def days(self) -> float:
        """Length in days."""
        return (self.end - self.start) / timedelta(days=1)


def version_in_force(tasks: Iterable[Task]) -> str | None:
    """Return the version that served most recently: nothing measured on another one counts.

    Args:
        tasks: Tasks in any order, without those that a stand-in answered: an outage of an hour is no release.

    Returns:
        Version digest; None when the latest task names none, or there is no task.
    """
    last = max(tasks, key=lambda task: (task.start_ns, task.trace_id), default=None)
    return last.version_digest if last else None


def released_versions(records: Iterable[Evidence]) -> Mapping[str, datetime]:
    """Return the versions that passed the release gate, and when each did first."""
    found: dict[str, datetime] = {}
    for record in records:
        version = record.binds.version
        if record.kind == "release.verdict" and record.passed and version is not None:
            found[version] = min(record.recorded_at, found.get(version, record.recorded_at))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """Turns measurements into records."""

    charter: Charter
    window: Window
    now: datetime
    source: Source

    def record(self, found: Measurement, scope: Scope, version: str | None) -> Evidence:
        kind = kind_named(found.kind)
        return Evidence(
            kind=found.kind,
            agent=self.charter.agent,
            binds=binding_in_force(kind, self.charter, scope, InForce(version=version)),
            scope=scope,
            window_from=self.window.start,
            window_to=self.window.end,
            n=found.n,
            good=found.good,
            value=found.value,
            low=found.low,
            high=found.high,
            method=found.method,
            detail=found.detail,
            items=found.items[:ITEMS_KEPT_MAX],
            counts=dict(found.counts),
            source=self.source,
            recorded_at=self.now,
        )


_BY_TASK_TYPE: tuple[Callable[[Charter, str, Sequence[Task], Sequence[Outcome]], Measurement | None], ...] = (
    measure_completion,
    measure_escalation,
    measure_cost,
    measure_latency,
    measure_quality,
    measure_sampling,
    measure_critical,
    measure_discrepancy,
)


def fold_window(
    charter: Charter,
    tasks: Iterable[Task],
    outcomes: Iterable[Outcome],
    window: Window,
    now: datetime,
    *,
    source: Source,
    released: Mapping[str, datetime] = MappingProxyType({}),
    mistakes_since: datetime | None = None,
) -> tuple[Evidence, ...]:
    """Fold one window of traffic into every record that traffic alone can give.

    A kind without a measurement gets no record: missing is never recorded as zero. Records that
    speak of the agent's work are bound to the version that did it, one set for each version seen. Where a stand-in
    answered, it did not do the work: only what must never happen counts, as nobody judges the stand-in by itself.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent in any order; those outside the window or of another agent are left
            out, and of several revisions of one trace the last counts.
        outcomes: Current outcomes in any order.
        window: The window.
        now: When the fold is made, aware UTC.
        source: What the records say they come from.
        released: Versions with a release verdict, and when each passed first; empty while none was ever released.
        mistakes_since: From when on critical mistakes count, where the window is shorter than it should be.

    Returns:
        Records in a fixed order, each (kind, scope, version) once.
    """
    writer = _Writer(charter=charter, window=window, now=now, source=source)
    chosen = _latest_tasks(
        task for task in tasks if task.agent == charter.agent and window.holds(task.start_ns)
    )
    before = None if mistakes_since is None else Window(start=mistakes_since, end=window.start)
    found = _standing(chosen, _latest_outcomes(outcomes), charter.agent, window, before)
    return tuple(_fold(writer, chosen, found, released)) if chosen else ()


def _fold(
    writer: _Writer, tasks: Sequence[Task], outcomes: Sequence[Outcome], released: Mapping[str, datetime]
) -> Iterator[Evidence]:
    charter = writer.charter
    own_tasks = own_work(charter, tasks)
    apart = {task.trace_id for task in tasks} - {task.trace_id for task in own_tasks}
    versions = sorted({task.version_digest for task in tasks}, key=lambda digest: digest or "")
    for version in versions:
        own = [task for task in own_tasks if task.version_digest == version]
        all_answered = [outcome for outcome in outcomes if outcome.version_digest == version]
        answered = [outcome for outcome in all_answered if outcome.trace_id not in apart]
        mistakes = [one for one in all_answered if one.trace_id in apart and one.critical is not None]
        for name in charter.task_types:
            typed = [task for task in own if task.task_type == name]
            said = [outcome for outcome in answered if outcome.task_type == name]
            wrong = [outcome for outcome in mistakes if outcome.task_type == name]
            for measure in _BY_TASK_TYPE:
                heard = [*said, *wrong] if measure is measure_critical else said
                found = measure(charter, name, typed, heard)
                if found is not None:
                    yield writer.record(found, Scope(task_type=name), version)
            found = measure_unverifiable(charter, name, typed, said, at_ns=unix_ns(writer.now))
            if found is not None:
                yield writer.record(found, Scope(task_type=name), version)
        whole = (
            measure_models(charter, [task for task in tasks if task.version_digest == version]),
            measure_critical(charter, None, own, [*answered, *mistakes]),
        )
        for found in whole:
            if found is not None:
                yield writer.record(found, Scope(), version)
    overall = (
        _measure_completeness(tasks),
        _measure_unknown_types(charter, tasks),
        measure_hosts(charter, tasks),
        measure_tools(charter, tasks),
        measure_versions(tasks, released),
    )
    for found in overall:
        if found is not None:
            yield writer.record(found, Scope(), None)


def fold_volume(
    charter: Charter, tasks: Iterable[Task], window: Window, now: datetime, *, source: Source
) -> Evidence | None:
    """Return the share of the target volume that was completed in production, or None.

    Args:
        charter: The charter in force.
        tasks: Tasks of the agent in any order.
        window: The window; the framework asks for 28 days.
        now: When the fold is made.
        source: What the record says it comes from.
    """
    chosen = _latest_tasks(
        task for task in tasks if task.agent == charter.agent and window.holds(task.start_ns)
    )
    done = sum(task.environment == PRODUCTION and task.result is TaskResult.COMPLETED for task in chosen)
    return volume_of(charter, done, window, now, source=source)


def volume_of(
    charter: Charter, done: int, window: Window, now: datetime, *, source: Source
) -> Evidence | None:
    """Return the same where somebody counted already.

    Args:
        charter: The charter in force.
        done: Tasks that were completed in production in the window.
        window: The window.
        now: When the record is made.
        source: What the record says it comes from.
    """
    target = charter.target_volume.per_day
    if not isinstance(target, (int, float)) or target <= 0 or not done:
        return None
    share = done / (target * window.days)
    found = Measurement(
        kind="volume", n=done, value=share, low=share, high=share, method="counted, no sampling"
    )
    return _Writer(charter=charter, window=window, now=now, source=source).record(found, Scope(), None)


def _latest_tasks(tasks: Iterable[Task]) -> list[Task]:
    latest: dict[str, Task] = {}
    for task in tasks:
        known = latest.get(task.trace_id)
        if known is None or task.revision > known.revision:
            latest[task.trace_id] = task
    return sorted(latest.values(), key=lambda task: (task.start_ns, task.trace_id))


def _latest_outcomes(outcomes: Iterable[Outcome]) -> Iterable[Outcome]:
    latest: dict[str, Outcome] = {}
    for outcome in outcomes:
        known = latest.get(outcome.trace_id)
        if known is None or (outcome.attempts, outcome.verified_at) > (known.attempts, known.verified_at):
            latest[outcome.trace_id] = outcome
    return latest.values()


def _standing(
    tasks: Iterable[Task], outcomes: Iterable[Outcome], agent: str, window: Window, before: Window | None
) -> list[Outcome]:
    """Return the valid outcomes of the tasks of a window, and earlier critical mistakes, by start."""
    found = [
        outcome
        for outcome in standing_outcomes(tasks, outcomes).values()
        if outcome.agent == agent and (window.holds(outcome.task_start_ns) or _is_mistake_in(outcome, before))
    ]
    return sorted(found, key=lambda outcome: (outcome.task_start_ns, outcome.trace_id))


def _is_mistake_in(outcome: Outcome, before: Window | None) -> bool:
    return before is not None and outcome.critical is not None and before.holds(outcome.task_start_ns)


def _measure_completeness(tasks: Sequence[Task]) -> Measurement:
    incomplete = [task.trace_id for task in tasks if task.state is not TaskState.COMPLETE]
    return Measurement(
        kind="trace_complete", n=len(tasks), good=len(tasks) - len(incomplete), items=tuple(incomplete)
    )


def _measure_unknown_types(charter: Charter, tasks: Sequence[Task]) -> Measurement:
    outside = [task for task in tasks if task.task_type not in charter.task_types]
    names = sorted({task.task_type for task in outside})
    return Measurement(
        kind="unknown_task_type",
        n=len(tasks),
        good=len(tasks) - len(outside),
        detail=f"Seen: {', '.join(names[:5])}" if names else "",
        items=tuple(task.trace_id for task in outside),
    )
