# SPDX-License-Identifier: Apache-2.0
"""The figures of each task type of an agent, with their daily trend (verdict, traffic → rows)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.reports.agent_traffic import AgentTraffic
from pilothouse.reports.charts import daily_chart
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.sparks import Spark, spark_of
from pilothouse.reports.truth_line import items_by_kind
from pilothouse.reports.view_models import Frozen, Quantity, StatusMark, count_of, mark_of, quantity_of

__all__ = ["FIGURES", "Figure", "TaskTypeRow", "agreement_bound", "task_type_rows"]

FIGURES = (
    ("completion", "Completion"),
    ("quality", "Quality"),
    ("discrepancy", "Contradicted"),
    ("escalation", "Escalation"),
    ("latency", "Latency p95"),
    ("cost_per_task", "Cost per task"),
)
"""Kinds of evidence shown for each task type, with their column heads."""


class Figure(Frozen):
    """One measured figure of a task type; None as quantity says that nobody measured it."""

    name: str
    mark: StatusMark
    quantity: Quantity | None
    committed: str
    cases: str


class TaskTypeRow(Frozen):
    """One task type with its figures, in the order of the column heads; `trend` is its daily agreement, if any."""

    name: str
    href: str
    tasks: Quantity
    trend: Spark | None
    figures: tuple[Figure, ...]


def _figure(name: str, item: ItemVerdict | None, currency: str) -> Figure:
    if item is None:
        return Figure(name=name, mark=mark_of(Status.NO_EVIDENCE), quantity=None, committed="", cases="")
    quantity = quantity_of(item, currency)
    cases = f"n {item.n:,}" if quantity else ""
    return Figure(
        name=name, mark=mark_of(item.status, item.reason), quantity=quantity, committed=item.rule, cases=cases
    )


def task_type_rows(
    verdict: AgentVerdict, charter: Charter, traffic: AgentTraffic, truth: Sequence[TruthCount]
) -> tuple[TaskTypeRow, ...]:
    """Return each task type of the charter and of the traffic with its figures.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        traffic: Tasks and outcomes of the window.
        truth: Claims against the system of record, by task type.
    """
    items = items_by_kind(verdict)
    seen: dict[str, int] = {}
    for task in traffic.tasks:
        seen[task.task_type] = seen.get(task.task_type, 0) + 1
    names = list(dict.fromkeys((*charter.task_types, *(count.task_type for count in truth))))
    base = f"/agents/{quote(verdict.agent, safe='')}/tasks?type="
    answered: dict[str, list[Outcome]] = {}
    for outcome in traffic.outcomes.values():
        answered.setdefault(outcome.task_type, []).append(outcome)
    return tuple(
        TaskTypeRow(
            name=foreign_line(name),
            href=base + quote(name, safe=""),
            tasks=count_of(seen.get(name, 0)),
            trend=spark_of(
                daily_chart(
                    answered.get(name, ()),
                    traffic.window_from,
                    traffic.window_to,
                    bound=agreement_bound(charter, name),
                )
            ),
            figures=tuple(
                _figure(title, items.get((kind, name)), known(charter.currency) or "")
                for kind, title in FIGURES
            ),
        )
        for name in names
    )


def agreement_bound(charter: Charter, task_type: str | None = None) -> float | None:
    """Return the committed rate of agreement of a task type, or the loosest, which all of them must reach."""
    bounds = [
        known(terms.discrepancy.max)
        for name, terms in charter.task_types.items()
        if task_type in {None, name}
    ]
    stated = [bound for bound in bounds if bound is not None]
    return 1 - max(stated) if stated and len(stated) == len(bounds) else None
