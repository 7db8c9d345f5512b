# SPDX-License-Identifier: Apache-2.0
"""Measurements from the tasks of one type alone: completion, escalation, cost, latency."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.effective_counts import effective_counts, rate_counts
from pilothouse.core.evidence.evidence import WORTH
from pilothouse.core.evidence.measurement import Measurement
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.task import CostState, Task, TaskResult
from pilothouse.core.statistics.quantities import mean_bounds, quantile_bounds
from pilothouse.core.statistics.results import Estimate, NotEnoughEvidence

__all__ = [
    "PRICED_CURRENCY",
    "measure_completion",
    "measure_cost",
    "measure_escalation",
    "measure_latency",
    "unmeasured_costs",
]

PRICED_CURRENCY = "USD"
"""The currency in which model calls are priced."""

LATENCY_QUANTILE = 0.95

_NEVER_S = 1e12
"""Stands for a time that nobody knows where the longest is asked for: thirty thousand years."""

_MEASURED_PARTS = frozenset({"model"})
"""Parts of a cost that telemetry shows; a part it does not show is unknown, never zero."""


def _of(tasks: Sequence[Task], *results: TaskResult) -> list[Task]:
    return [task for task in tasks if task.result in results]


def _told(task: Task, good: bool) -> bool | None:
    return None if task.result is TaskResult.UNKNOWN else good


def measure_completion(
    _charter: Charter, _name: str, tasks: Sequence[Task], _outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count completed tasks among those not given to a person, which are counted apart."""
    ended = [task for task in tasks if task.result is not TaskResult.ESCALATED]
    if not ended:
        return None
    return Measurement(
        kind="completion",
        n=len(ended),
        good=len(_of(ended, TaskResult.COMPLETED)),
        items=tuple(task.trace_id for task in _of(ended, TaskResult.FAILED, TaskResult.REFUSED)),
        counts={"unknown": len(_of(ended, TaskResult.UNKNOWN))}
        | rate_counts(
            [_told(task, task.result is TaskResult.COMPLETED) for task in ended],
            [task.conversation for task in ended],
        ),
    )


def measure_escalation(
    _charter: Charter, _name: str, tasks: Sequence[Task], _outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Count tasks given to a person among all; a task that does not say how it ended may be one."""
    if not tasks:
        return None
    given, silent = _of(tasks, TaskResult.ESCALATED), _of(tasks, TaskResult.UNKNOWN)
    return Measurement(
        kind="escalation",
        n=len(tasks),
        good=len(tasks) - len(given) - len(silent),
        items=tuple(task.trace_id for task in given),
        counts={"unknown": len(silent)}
        | rate_counts(
            [_told(task, task.result is not TaskResult.ESCALATED) for task in tasks],
            [task.conversation for task in tasks],
        ),
    )


def measure_cost(
    charter: Charter, name: str, tasks: Sequence[Task], _outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Bound the mean cost of a finished task; failed tasks cost too, and finish nothing.

    Where a price is missing only the known part is summed, so the ends are lower bounds of the truth
    and the record says how many tokens have no price, and how many of these belong to tasks with calls that do not say what they used.
    """
    finished = len(_of(tasks, TaskResult.COMPLETED))
    silent = len(_of(tasks, TaskResult.UNKNOWN))
    if finished + silent == 0:
        return None
    costs = [float(task.cost_known_usd) for task in tasks]
    tokens, unpriced, unsaid = _tokens(tasks)
    reasons = unmeasured_costs(charter, name)
    whole = _by_conversation(costs, [task.conversation for task in tasks])
    bounds = mean_bounds(whole)
    value = math.fsum(costs) / (finished + silent)
    low = high = None
    method = ""
    in_other_currency = known(charter.currency) != PRICED_CURRENCY
    if not isinstance(bounds, NotEnoughEvidence) and not in_other_currency:
        low = bounds.low * len(whole) / (finished + silent)
        high = bounds.high * len(whole) / finished if finished else None
        method = f"{bounds.method}, per finished task"
    return Measurement(
        kind="cost_per_task",
        n=len(tasks),
        value=value,
        low=low,
        high=high,
        method=method,
        detail="; ".join(reasons),
        items=tuple(task.trace_id for task in sorted(tasks, key=_dearest)),
        counts={"tokens": tokens, "tokens_unpriced": unpriced, "unmeasured": len(reasons)}
        | ({"tokens_unsaid": unsaid} if unsaid else {})
        | ({"other_currency": 1} if in_other_currency else {})
        | ({WORTH: len(whole)} if len(whole) < len(tasks) else {}),
    )


def _by_conversation(costs: Sequence[float], conversations: Sequence[str | None]) -> list[float]:
    """Return what each conversation cost: its turns are dear together, so it is one case of the mean.

    A task that names none is a case by itself.
    """
    totals: dict[tuple[str | None, int], float] = {}
    for place, (cost, name) in enumerate(zip(costs, conversations, strict=True)):
        key = (name, place if name is None else 0)
        totals[key] = totals.get(key, 0.0) + cost
    return list(totals.values())


def _tokens(tasks: Sequence[Task]) -> tuple[int, int, int]:
    """Return the tokens of tasks, how many of them have no price, and how many of these are of tasks with calls that say none.

    A call that does not say what it used did use something: its task counts for no less than the mean of those that say
    all. Else a thousand silent tasks would weigh less than one that speaks, and their cost be taken for nothing.
    """
    told = [task.tokens.total for task in tasks if task.tokens.total and not task.calls_without_usage]
    least = math.ceil(sum(told) / len(told)) if told else 1
    tokens = unpriced = unsaid = 0
    for task in tasks:
        total = task.tokens.total
        if task.cost_state in {CostState.PARTIAL, CostState.UNKNOWN}:
            if task.calls_without_usage or not total:
                total = max(total, least)
                unsaid += total
            unpriced += total
        tokens += total
    return tokens, unpriced, unsaid


def _dearest(task: Task) -> tuple[float, str]:
    return (-float(task.cost_known_usd), task.trace_id)


def unmeasured_costs(charter: Charter, name: str, known_parts: Collection[str] = ()) -> list[str]:
    """Return why the cost of a task is incomplete, or empty.

    Args:
        charter: The charter in force.
        name: Task type.
        known_parts: Parts that are known from elsewhere.
    """
    reasons = []
    includes = charter.task_types[name].cost_per_task.includes
    parts = (
        ("all parts",)
        if is_open(includes)
        else tuple(sorted(set(includes) - _MEASURED_PARTS - {*known_parts}))
    )
    if parts:
        reasons.append(f"the charter counts {' and '.join(parts)} too, which telemetry does not show")
    if known(charter.currency) != PRICED_CURRENCY:
        reasons.append(f"model calls are priced in {PRICED_CURRENCY}, the charter is in {charter.currency}")
    return reasons


def measure_latency(
    _charter: Charter, _name: str, tasks: Sequence[Task], _outcomes: Sequence[Outcome]
) -> Measurement | None:
    """Bound the 95 % quantile of task times; turns of one conversation are slow together and are worth fewer.

    Of a task whose times contradict nobody knows how long it took: for the upper end it took for ever, for the lower no time.
    Left out, the slow ones would only have to say nothing.
    """
    timed = sorted((task.duration_ns / 1e9, task.trace_id) for task in tasks if task.duration_ns is not None)
    if not timed:
        return None
    seconds = [pair[0] for pair in timed]
    silent = len(tasks) - len(timed)
    value = seconds[math.ceil(LATENCY_QUANTILE * len(seconds)) - 1]
    quick = [task.duration_ns is not None and task.duration_ns / 1e9 <= value for task in tasks]
    worth = effective_counts(quick, [task.conversation for task in tasks])
    effective = worth.get(WORTH, len(tasks))
    at_best = quantile_bounds([*[0.0] * silent, *seconds], LATENCY_QUANTILE, effective=effective)
    at_worst = quantile_bounds([*seconds, *[_NEVER_S] * silent], LATENCY_QUANTILE, effective=effective)
    low = high = None
    method = ""
    if isinstance(at_best, Estimate) and isinstance(at_worst, Estimate):
        low, method = at_best.low, str(at_best.method)
        high = None if at_worst.high >= _NEVER_S else at_worst.high
    return Measurement(
        kind="latency",
        n=len(tasks),
        value=value,
        low=low,
        high=high,
        method=method,
        detail=f"{silent:,} of {len(tasks):,} tasks do not say how long they took" if silent else "",
        items=tuple(pair[1] for pair in reversed(timed)),
        counts=({"unmeasured": silent} if silent and high is None else {}) | worth,
    )
