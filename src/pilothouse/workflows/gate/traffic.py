# SPDX-License-Identifier: Apache-2.0
"""Recorded traffic as cases that can be sent again, with the moments at which it came (lake -> cases)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from pilothouse.core.evidence.outcome import OutcomeStatus
from pilothouse.core.evidence.standing import standing_outcome
from pilothouse.core.evidence.task import Task, TaskState
from pilothouse.errors import UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.targets.recorded import json_or_text, root_span
from pilothouse.ports.lake import TraceView
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.ground.opened_traces import with_traces

__all__ = ["TRAFFIC_WINDOW", "RecordedTraffic", "busiest_hour_per_minute", "read_traffic"]

TRAFFIC_WINDOW: Final = timedelta(days=28)
"""Four weeks hold every day of the week and the end of a month."""

TASKS_MAX: Final = 1_000
"""Tasks that are opened, the newest ones: 1,000 pairs decide a margin of 3 points."""

HOUR_NS: Final = 3_600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTraffic:
    """Tasks as they came.

    Attributes:
        cases: One for each task, earliest first; what the system of record verified is what it expects.
        offsets_s: When each came, seconds after the first.
        left_out: Tasks that cannot be sent again, by reason.
    """

    cases: tuple[Case, ...]
    offsets_s: tuple[float, ...]
    left_out: Mapping[str, int]

    @property
    def judged(self) -> int:
        """Cases whose right answer is known."""
        return sum(case.expected is not None for case in self.cases)


def read_traffic(
    installation: Installation,
    agent: str,
    *,
    now: datetime,
    most: int | None = None,
    types: Container[str] | None = None,
) -> RecordedTraffic:
    """Read the newest tasks of an agent as cases.

    Args:
        installation: Lake and ledger.
        agent: Agent id.
        now: The moment, aware UTC.
        most: Most tasks; `TASKS_MAX` when None.
        types: Task types that take part; None takes all.

    Returns:
        The traffic. A task whose input was not recorded whole is left out and counted.

    Raises:
        UsageError: No task of the window can be sent again.
    """
    served = tasks_between(installation.lake, agent, now - TRAFFIC_WINDOW, now)
    tasks = sorted(served, key=lambda task: (task.start_ns, task.trace_id))
    tasks = tasks[-min(most or TASKS_MAX, TASKS_MAX) :]
    outcomes = installation.ledger.outcomes_of([task.trace_id for task in tasks])
    cases: list[Case] = []
    starts: list[int] = []
    left_out: Counter[str] = Counter()
    for task, view in with_traces(installation.lake, tasks):
        outcome = standing_outcome(task, outcomes.get(task.trace_id))
        is_verified = outcome is not None and outcome.status is OutcomeStatus.VERIFIED
        found = _case(task, view, is_verified=is_verified, types=types)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            cases.append(found)
            starts.append(task.start_ns)
    if not cases:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "there is none"
        raise UsageError(
            f"no recorded task of {agent!r} in {TRAFFIC_WINDOW.days} days can be sent again: {why}.",
            remedy="Let its spans carry their inputs (see `pilothouse traces`), or give --dataset and --rate.",
            subject=agent,
        )
    return RecordedTraffic(
        cases=tuple(cases),
        offsets_s=tuple((start - starts[0]) / 1e9 for start in starts),
        left_out=dict(left_out),
    )


def busiest_hour_per_minute(installation: Installation, agent: str, *, now: datetime) -> float | None:
    """Return tasks a minute in the busiest hour, or None without a task: a mean over nights is no load."""
    tasks = tasks_between(installation.lake, agent, now - TRAFFIC_WINDOW, now)
    hours = Counter(task.start_ns // HOUR_NS for task in tasks)
    return max(hours.values()) / 60 if hours else None


def _case(
    task: Task, view: TraceView | None, *, is_verified: bool, types: Container[str] | None
) -> Case | str:
    """Return the task as a case, or why it cannot be one."""
    if types is not None and task.task_type not in types:
        return f"of task type {task.task_type!r}, which the charter does not have"
    root = root_span(view) if view is not None else None
    if root is None or task.state is not TaskState.COMPLETE:
        return "incomplete"
    if not root.input:
        return "without a recorded input"
    if root.cut_bytes:
        return "with an input that was cut"
    answer = json_or_text(root.output) if is_verified and root.output else None
    try:
        return Case(
            id=f"task-{task.trace_id}",
            task_type=task.task_type,
            input=json_or_text(root.input),
            expected=answer,
            # Equal requests are part of the load, so equal inputs stay different cases.
            fixtures={"trace": task.trace_id},
            source=f"production:{task.trace_id}",
        )
    except ValidationError as error:
        return f"no case: {error.errors()[0]['msg']}"
