# SPDX-License-Identifier: Apache-2.0
"""The shadow stream of a drill: tasks like the agent's own with a fault planted in them, kept out of its evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.score import Score
from pilothouse.core.evidence.task import CostState, Task, TaskResult

__all__ = ["SHADOW_VERSION", "TASKS_PER_TYPE", "Fault", "shadow_scores", "shadow_traffic"]

SHADOW_VERSION = "drill"
"""The version of the shadow: nothing that was measured on it counts for any real one."""

TASKS_PER_TYPE = 300
"""A breach of a rate must be proved at 95 %; a fault of the planted size is, long before this many tasks."""

ENVIRONMENT = "drill"
COST_WITHOUT_CEILING = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the shadow.

    Attributes:
        metric: What an alert rule must watch to see it.
        failed: Every second task fails.
        contradicted: Every fifth claim is contradicted by the system of record.
        cost_times: Factor on the cost of each task.
        error: Kind of the error that ends a failed task.
    """

    metric: str
    failed: bool = False
    contradicted: bool = False
    cost_times: int = 1
    error: str | None = None


def shadow_traffic(charter: Charter, fault: Fault, now: datetime) -> tuple[list[Task], list[Outcome]]:
    """Return an hour of the shadow's tasks, of every declared type, and what the system of record says of them.

    Args:
        charter: The charter in force.
        fault: What is wrong.
        now: End of the hour, aware UTC.
    """
    tasks: list[Task] = []
    outcomes: list[Outcome] = []
    end_ns = int(now.timestamp()) * 1_000_000_000
    step_ns = 3_500_000_000_000 // TASKS_PER_TYPE
    for task_type, terms in charter.task_types.items():
        ceiling = known(terms.cost_per_task.max)
        cost = (Decimal(str(ceiling)) / 2 if ceiling else COST_WITHOUT_CEILING) * fault.cost_times
        for number in range(TASKS_PER_TYPE):
            start_ns = end_ns - (number + 1) * step_ns
            seed = f"drill/{charter.agent}/{task_type}/{start_ns}"
            failed = fault.failed and number % 2 == 0
            task = Task(
                trace_id=hashlib.sha256(seed.encode()).hexdigest()[:32],
                agent=charter.agent,
                task_type=task_type,
                version_digest=SHADOW_VERSION,
                environment=ENVIRONMENT,
                result=TaskResult.FAILED if failed else TaskResult.COMPLETED,
                error_type=fault.error if failed else None,
                claim=None if failed else '{"claim":"drill"}',
                start_ns=start_ns,
                end_ns=start_ns + 500_000_000,
                duration_ns=500_000_000,
                model_calls=1,
                cost_usd=cost,
                cost_known_usd=cost,
                cost_state=CostState.KNOWN,
            )
            tasks.append(task)
            if not failed:
                outcomes.append(_outcome(task, now, wrong=fault.contradicted and number % 5 == 0))
    return tasks, outcomes


def shadow_scores(charter: Charter, fault: Fault, tasks: Sequence[Task]) -> list[Score]:
    """Return what the judges of the charter say of the shadow's tasks: every fifth is wrong where that is the fault."""
    judges = {judge.name for judge in known(charter.model.judges) or ()}
    metrics = {
        name: str(terms.metric) for name, terms in charter.task_types.items() if terms.metric in judges
    }
    return [
        Score(
            trace_id=task.trace_id,
            span_id="",
            name=metrics[task.task_type],
            value=None,
            label="fail" if fault.contradicted and number % 5 == 0 else "pass",
            explanation="planted by the drill",
            source="drill",
            at_ns=task.end_ns,
        )
        for number, task in enumerate(tasks)
        if task.task_type in metrics
    ]


def _outcome(task: Task, now: datetime, *, wrong: bool) -> Outcome:
    return Outcome(
        trace_id=task.trace_id,
        agent=task.agent,
        task_type=task.task_type,
        version_digest=task.version_digest,
        task_start_ns=task.start_ns,
        claim=task.claim,
        status=OutcomeStatus.CONTRADICTED if wrong else OutcomeStatus.VERIFIED,
        found="planted by the drill",
        critical=None,
        verifier="drill",
        verified_at=now,
        attempts=1,
    )
