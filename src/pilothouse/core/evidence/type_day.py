# SPDX-License-Identifier: Apache-2.0
"""One finished day of one task type as counts, the input of the watch's detectors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.core.evidence.effective_counts import cases_of_a_day
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import CostState, Task, TaskResult

__all__ = ["OVERRIDE", "OWN_OVERRIDE", "TypeDay", "fold_type_days"]

OVERRIDE = "override"
"""Metric of answers that a person replaced: the one of what people say that a verdict rests on."""

OWN_OVERRIDE = "own.override"
"""The same of the tasks that no stand-in answered: users are watched in all of them, and a version is judged by its own."""

TRACES_KEPT_MAX = 20
"""Examples of each kind of trouble that a day keeps, for the incident that may follow."""

HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000
HOURS_OF_DAY = 24


@dataclass(slots=True, kw_only=True)
class TypeDay:
    """Counts of a day; a rate is a pair (cases, good ones among them).

    Attributes:
        rates: Cases and good ones by metric.
        bad: Traces of bad cases by metric, at most `TRACES_KEPT_MAX` each.
        tasks: Tasks of the day.
        own: Those among them that no stand-in answered.
        cost_usd: Cost of each hour, 24 of them.
        priced: Tasks of each hour whose cost is known.
        log_usd: Sum of the natural logarithms of the costs that are known and above 0: their mean is the typical cost.
        paid: Tasks behind it.
        unpriced: Tasks whose cost is not known in full.
        pending: Claims whose outcome is not known yet.
        version: Version of the last task that no stand-in answered, or None.
        claimed: Sum of the confidence that the agent claimed for answers whose truth is known (metric `confidence`).
        minutes: Minutes of the day in which a task began, and those in which one was served.
        turns: Cases of each metric as they came: whether it was good, and the conversation that it is a turn of.
    """

    rates: dict[str, tuple[int, int]] = field(default_factory=dict)
    bad: dict[str, list[str]] = field(default_factory=dict)
    tasks: int = 0
    own: int = 0
    cost_usd: list[float] = field(default_factory=lambda: [0.0] * HOURS_OF_DAY)
    priced: list[int] = field(default_factory=lambda: [0] * HOURS_OF_DAY)
    log_usd: float = 0.0
    paid: int = 0
    unpriced: int = 0
    pending: int = 0
    version: str | None = None
    claimed: float = 0.0
    minutes: dict[int, bool] = field(default_factory=dict)
    turns: dict[str, tuple[list[bool], list[str | None]]] = field(default_factory=dict)

    def count(self, metric: str, task: Task, *, good: bool) -> None:
        """Count one case of a metric.

        Args:
            metric: Its name.
            task: The task, kept as an example of a bad case.
            good: Whether the case was good.
        """
        n, well = self.rates.get(metric, (0, 0))
        self.rates[metric] = (n + 1, well + good)
        answers, conversations = self.turns.setdefault(metric, ([], []))
        answers.append(good)
        conversations.append(task.conversation)
        if not good:
            kept = self.bad.setdefault(metric, [])
            if len(kept) < TRACES_KEPT_MAX:
                kept.append(task.trace_id)

    def counted(self, metric: str) -> tuple[int, int, int]:
        """Return what a detector counts of a metric: cases, good ones, and how many independent cases they are worth.

        Args:
            metric: Its name.
        """
        return cases_of_a_day(*self.turns.get(metric, ([], [])))


def fold_type_days(
    tasks: Iterable[Task],
    outcomes: Mapping[str, Outcome],
    *,
    day_start_ns: int,
    ceilings_s: Mapping[str, float],
    said: Mapping[str, Collection[str]],
    is_heard: bool = False,
    apart: Collection[str] = (),
) -> dict[str, TypeDay]:
    """Fold the tasks of one day.

    Args:
        tasks: Tasks of one agent and day, each trace once, in order of their start.
        outcomes: Their outcomes by trace, as far as there are any.
        day_start_ns: Midnight, Unix nanoseconds UTC.
        ceilings_s: Largest accepted time of a task by task type, seconds; a type without one has no latency.
        said: Traces about which people said something, by metric (`override`, `complaint`, `correction`).
        is_heard: Whether what people say arrives at all. Where nothing ever did, an answer counts as not replaced only when the
            system of record shows that it stands: silence of a channel that nobody connected is no zero.
        apart: Traces that a stand-in of the model pin answered a call of: what they did is no version's.

    Returns:
        The day of each task type that had a task.

    Example:
        >>> task = Task(trace_id="a" * 32, agent="a", task_type="po", result=TaskResult.FAILED, start_ns=5, end_ns=9)
        >>> days = fold_type_days([task], {}, day_start_ns=0, ceilings_s={}, said={})
        >>> days["po"].rates["completion"], days["po"].rates["escalation"]
        ((1, 0), (1, 1))
    """
    days: dict[str, TypeDay] = {}
    for task in tasks:
        day = days.get(task.task_type)
        if day is None:
            day = days[task.task_type] = TypeDay()
        _count_task(day, task, day_start_ns, ceilings_s.get(task.task_type))
        is_own = task.trace_id not in apart
        if is_own:
            day.own += 1
            day.version = task.version_digest
        outcome = standing_outcome(task, outcomes.get(task.trace_id))
        if outcome is not None:
            _count_outcome(day, task, outcome)
        if task.result is TaskResult.COMPLETED:
            stands = is_heard or (outcome is not None and outcome.status is OutcomeStatus.VERIFIED)
            for metric, traces in said.items():
                is_bad = task.trace_id in traces
                if is_bad or stands or metric != OVERRIDE:
                    day.count(metric, task, good=not is_bad)
                    if is_own and metric == OVERRIDE:
                        day.count(OWN_OVERRIDE, task, good=not is_bad)
    return days


def _count_task(day: TypeDay, task: Task, day_start_ns: int, ceiling_s: float | None) -> None:
    escalated, done = task.result is TaskResult.ESCALATED, task.result is TaskResult.COMPLETED
    day.tasks += 1
    day.count("escalation", task, good=not escalated)
    if not escalated and task.result is not TaskResult.UNKNOWN:
        day.count("completion", task, good=done)
    if ceiling_s is not None and task.duration_ns is not None:
        day.count("latency", task, good=task.duration_ns <= ceiling_s * 1e9)
    offset = task.start_ns - day_start_ns
    minute = offset // MINUTE_NS
    day.minutes[minute] = day.minutes.get(minute, False) or done or escalated
    if task.cost_state is CostState.KNOWN and task.cost_usd is not None:
        hour = min(max(offset // HOUR_NS, 0), HOURS_OF_DAY - 1)
        day.cost_usd[hour] += float(task.cost_usd)
        day.priced[hour] += 1
        if task.cost_usd > 0:
            day.log_usd += math.log(task.cost_usd)
            day.paid += 1
    elif task.cost_state is not CostState.NONE:
        day.unpriced += 1


def _count_outcome(day: TypeDay, task: Task, outcome: Outcome) -> None:
    if outcome.status is OutcomeStatus.PENDING:
        day.pending += 1
    elif outcome.status is OutcomeStatus.UNVERIFIABLE:
        day.count("unverifiable", task, good=False)
    else:
        good = outcome.status is OutcomeStatus.VERIFIED
        day.count("unverifiable", task, good=True)
        day.count("discrepancy", task, good=good)
        if task.confidence is not None:
            day.count("confidence", task, good=good)
            day.claimed += task.confidence
