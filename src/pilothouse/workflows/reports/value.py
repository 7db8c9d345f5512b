# SPDX-License-Identifier: Apache-2.0
"""What an agent is worth: the three numbers from the charter's ranges and from telemetry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.evidence.task import CostState, Task, TaskResult
from pilothouse.core.evidence.task_measures import PRICED_CURRENCY
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import Estimate
from pilothouse.core.verdict.remediation import plan_steps
from pilothouse.core.verdict.rules import unknown_part
from pilothouse.core.verdict.value import DAYS_A_MONTH, Measured, ThreeNumbers, TypeVolume, three_numbers
from pilothouse.ports.ledger import Ledger
from pilothouse.reports.value import SealShown, ValuePage, build_value
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.newest_tasks import tasks_between
from pilothouse.workflows.reports.outcomes import read_seals
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["count_numbers", "show_value"]

WINDOW = timedelta(days=28)
"""Volume and cost are those of the last four weeks: every weekday equally often."""


def show_value(installation: Installation, found: Assessment) -> ValuePage:
    """Return the Value page of an assessment; nothing is stored."""
    numbers = count_numbers(installation, found)
    seal = _newest_seal(installation.ledger, found.charter)
    return build_value(found.charter, found.verdict, numbers, seal, found.verdict.as_of)


def count_numbers(installation: Installation, found: Assessment) -> ThreeNumbers:
    """Return the three numbers of an assessment."""
    agent, now = found.charter.agent, found.verdict.as_of
    measured = _measure(found, tasks_between(installation.lake, agent, now - WINDOW, now))
    return three_numbers(found.charter, measured, plan_steps(found.verdict, found.charter))


def _newest_seal(ledger: Ledger, charter: Charter) -> SealShown | None:
    seals = read_seals(ledger, charter.agent)
    if not seals:
        return None
    newest = seals[-1]
    return SealShown(
        at=newest.at,
        by=newest.by,
        in_time=newest.in_time,
        is_current=newest.digest == charter.section_digests["outcomes"],
    )


def _measure(found: Assessment, tasks: Sequence[Task]) -> Measured:
    months = WINDOW.days / DAYS_A_MONTH
    per_month = math.fsum(float(task.cost_known_usd) for task in tasks) / months
    unknown = ""
    if known(found.charter.currency) != PRICED_CURRENCY:
        per_month = 0.0  # what it is in another currency nobody says
        unknown = f"model calls, which are priced in {PRICED_CURRENCY}"
    elif not tasks:
        unknown = f"model calls: no task arrived in {WINDOW.days} days"
    elif any(task.cost_state in {CostState.PARTIAL, CostState.UNKNOWN} for task in tasks):
        unknown = "model calls without a price"
    return Measured(
        model_per_month=None if unknown else per_month,
        model_known_per_month=per_month,
        model_unknown=unknown,
        cost_per_task=_cost_per_task(found.folded),
        types=tuple(_volumes(found, tasks, months)),
    )


def _cost_per_task(evidence: Iterable[Evidence]) -> tuple[float, float] | None:
    """Return the range over all task types; None while the ends, or a part of the cost, of one of them are unknown."""
    records = [one for one in evidence if one.kind == "cost_per_task"]
    if not records or any(one.low is None or one.high is None or unknown_part(one)[0] for one in records):
        return None
    return min(one.low or 0.0 for one in records), max(one.high or 0.0 for one in records)


def _volumes(found: Assessment, tasks: Sequence[Task], months: float) -> Iterator[TypeVolume]:
    truth = {count.task_type: count for count in found.truth}
    for name, terms in found.charter.task_types.items():
        done = sum(task.task_type == name and task.result is TaskResult.COMPLETED for task in tasks)
        count = truth.get(name)
        told = (count.agrees + count.contradicts) if count else 0
        wrong = jeffreys_interval(count.contradicts, told) if count and told else None
        ends = (wrong.low, wrong.high) if isinstance(wrong, Estimate) else (None, None)
        cost = known(terms.cost_of_error)
        yield TypeVolume(
            task_type=name,
            tasks_per_month=done / months,
            wrong_low=ends[0],
            wrong_high=ends[1],
            cost_of_error=float(cost) if cost is not None else None,
        )
