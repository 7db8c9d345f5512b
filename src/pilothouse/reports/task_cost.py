# SPDX-License-Identifier: Apache-2.0
"""What a task of an agent costs, in one figure: that of the task type nearest to its bound, or past it (verdict → row)."""

from __future__ import annotations

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.truth_line import items_by_kind
from pilothouse.reports.view_models import Frozen, Quantity, StatusMark, mark_of, quantity_of
from pilothouse.reports.words import UNKNOWN

__all__ = ["TaskCost", "task_cost"]

_RANK = {status: rank for rank, status in enumerate(Status)}


class TaskCost(Frozen):
    """Cost per task of the task type that needs looking at first.

    Attributes:
        mark: Its status, or None while nothing is measured.
        quantity: What was measured, or None.
        text: Which task type it is, of how many, and whether its bound holds; or that nobody knows.
    """

    mark: StatusMark | None
    quantity: Quantity | None
    text: str


def task_cost(verdict: AgentVerdict | None, charter: Charter | None) -> TaskCost:
    """Return the measured cost that is furthest past its bound, or nearest to it; unknown is never zero."""
    items = items_by_kind(verdict) if verdict and charter else {}
    costs = {task_type: item for (kind, task_type), item in items.items() if kind == "cost_per_task"}
    currency = (known(charter.currency) or "") if charter else ""
    figures = {task_type: quantity_of(item, currency) for task_type, item in costs.items()}
    measured = [task_type for task_type, figure in figures.items() if figure is not None]
    if not measured:
        return TaskCost(mark=None, quantity=None, text=UNKNOWN)
    first = min(measured, key=lambda one: _pressing(costs[one]))
    found, others = costs[first], len(measured) - 1
    mark = mark_of(found.status, found.reason)
    name = foreign_line(first or "all task types")
    parts = [
        f"{name}, of {others + 1} types the nearest to its bound" if others else name,
        mark.spoken.lower() if found.status is not Status.HOLDS else "",
        f"{UNKNOWN} for {len(costs) - len(measured)}" if len(measured) < len(costs) else "",
    ]
    return TaskCost(mark=mark, quantity=figures[first], text="; ".join(part for part in parts if part))


def _pressing(item: ItemVerdict) -> tuple[int, float]:
    share = (item.value or 0.0) / item.bound if item.bound else 0.0
    return (_RANK[item.status], -share)
