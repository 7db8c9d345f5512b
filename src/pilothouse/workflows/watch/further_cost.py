# SPDX-License-Identifier: Apache-2.0
"""What a finished task cost beside its model calls, by task type: review as it was counted, fixed costs by the charter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.task_cost import CostPart, Spent, TaskCost, task_cost
from pilothouse.core.verdict.value import Money
from pilothouse.ports.watch import WatchReading
from pilothouse.workflows.watch.count import REVIEWED

__all__ = ["FurtherCost", "further_costs"]

PARTS = {"Review": "review", "Fixed costs": "fixed"}
"""Name of a part on the page, and in `cost_per_task.includes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherCost:
    """Cost of one finished task beside its model calls.

    Attributes:
        task_type: Task type.
        parts: Parts that are known and that the charter includes.
        money: Their sum, USD or the charter's currency.
        basis: Where they come from.
        tasks: Tasks behind it.
        until: The last counted day.
    """

    task_type: str
    parts: tuple[str, ...]
    money: Money
    basis: str
    tasks: int
    until: date


def further_costs(
    charter: Charter, whole: TaskCost | None, readings: Sequence[WatchReading]
) -> Iterator[FurtherCost]:
    """Yield the cost beside model calls of each task type whose charter counts it.

    Args:
        charter: The charter in force.
        whole: Cost of a task of the agent as a whole, for the share of the month.
        readings: Readings of the same days, oldest first.
    """
    if whole is None:
        return
    for name, terms in charter.task_types.items():
        includes = set(known(terms.cost_per_task.includes) or ())
        own = [one for one in readings if one.task_type == name]
        traffic = [one for one in own if one.detector == "traffic"]
        tasks = sum(json.loads(one.document)["tasks"] for one in traffic)
        if not tasks or not includes & set(PARTS.values()):
            continue
        done, unsaid = _finished(own)
        parts = [
            part
            for part in _parts(charter, whole, name, tasks, readings)
            if PARTS[part.name] in includes and part.money.high is not None
        ]
        money = Money(low=0.0, high=0.0)
        for part in parts:
            money = money.plus(part.money)
        if not parts or not done or money.high is None:
            continue
        yield FurtherCost(
            task_type=name,
            parts=tuple(PARTS[part.name] for part in parts),
            # A task that does not say how it ended may be a finished one.
            money=Money(low=money.low * tasks / (done + unsaid), high=money.high * tasks / done),
            basis="; ".join(f"{part.name.lower()}: {part.basis}" for part in parts),
            tasks=tasks,
            until=traffic[-1].day,
        )


def _parts(
    charter: Charter, whole: TaskCost, name: str, tasks: int, readings: Sequence[WatchReading]
) -> list[CostPart]:
    """Review of this task type alone, and the share of the month, which is the same for every task."""
    decided = [json.loads(one.document)["items"] for one in readings if one.detector == REVIEWED]
    spent = Spent(
        days=whole.days,
        tasks=tasks,
        model_usd=0.0,
        unpriced=0,
        reviewed=sum(items.get(name, 0) for items in decided) if len(decided) >= whole.days else None,
    )
    review = [part for part in task_cost(charter, spent).parts if part.name == "Review"]
    return [*review, *(part for part in whole.parts if part.name == "Fixed costs")]


def _finished(own: Sequence[WatchReading]) -> tuple[int, int]:
    """Completed tasks, and those that do not say how they ended."""
    ended = [json.loads(one.document) for one in own if one.detector == "completion"]
    here = [json.loads(one.document) for one in own if one.detector == "escalation"]
    done = sum(one["good"] for one in ended)
    return done, max(sum(one["good"] for one in here) - sum(one["n"] for one in ended), 0)
