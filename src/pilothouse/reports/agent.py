# SPDX-License-Identifier: Apache-2.0
"""The Agent page: the sentence, the one action, the truth line and what stands behind them (verdict, traffic → page)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.numbers import short_digest, significant
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.agent_standing import Fact, Standing, standing_facts
from pilothouse.reports.agent_traffic import (
    AgentTraffic,
    ChangeRow,
    VersionRow,
    WorstRow,
    change_rows,
    stood_in_words,
    version_rows,
    worst_rows,
)
from pilothouse.reports.charts import BandChart, daily_chart
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import Moment, at_ns, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.pictures import Spark, Trend, spark_of, trend
from pilothouse.reports.truth_line import TruthRow, items_by_kind, no_claims, truth_rows
from pilothouse.reports.view_models import (
    Empty,
    Frozen,
    Link,
    Page,
    Quantity,
    Sentence,
    StatusMark,
    count_of,
    mark_of,
    page_moment,
    quantity_of,
    shown_text,
)
from pilothouse.reports.words import UNKNOWN, phase_words, plural

__all__ = [
    "FIGURES",
    "AgentPage",
    "CostDay",
    "CostTrend",
    "Figure",
    "TaskTypeRow",
    "build_agent",
    "cost_trend",
]

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


DAYS_MAX = 90
"""Days of one picture: more would be narrower than a pixel on a phone."""


class CostDay(Frozen):
    """One day: its mean cost per task, or why there is none."""

    day: str
    shown: str
    tasks: str


class CostTrend(Frozen):
    """Cost per task over time.

    Attributes:
        title: What is drawn.
        picture: The bars.
        caption: What they rest on.
        days: The same as a table.
    """

    title: str
    picture: Trend
    caption: str
    days: tuple[CostDay, ...]


class AgentPage(Page):
    """One agent on one page.

    Attributes:
        word: `GO`, `GO WITH CONDITIONS`, `NO-GO` or `NOT ENOUGH EVIDENCE`.
        phase: Phase, in words.
        purpose: What it is for.
        owner: Who answers for it.
        version: Short digest of the judged version.
        charter: Number and digest of the charter in force.
        next_lapse: When the first evidence lapses, or None.
        standing: What waits for people, how stable it is, what it is worth, and its model; empty where nobody looked.
        truth: Claims against the system of record, the sum first.
        truth_empty: What stands there without a claim, or None.
        heads: Column heads of the task types.
        task_types: Figures of each task type.
        chart: Daily agreement, or None without outcomes.
        cost: Cost per task by day, or None while no day is priced.
        changes: What was seen first, newest first.
        worst: Contradicted claims, newest first.
        versions: Versions, latest first.
        stood_in: How many tasks are of none of them because a stand-in answered, in words; empty without one.
        window: The window of chart, changes and worst, in words.
        open_readiness: Link to the proof.
    """

    word: str
    phase: str
    purpose: str
    owner: str
    version: str
    charter: str
    next_lapse: Moment | None
    standing: tuple[Fact, ...]
    truth: tuple[TruthRow, ...]
    truth_empty: Empty | None
    heads: tuple[str, ...]
    task_types: tuple[TaskTypeRow, ...]
    chart: BandChart | None
    cost: CostTrend | None
    changes: tuple[ChangeRow, ...]
    worst: tuple[WorstRow, ...]
    versions: tuple[VersionRow, ...]
    stood_in: str
    window: str
    open_readiness: Link


def build_agent(
    verdict: AgentVerdict,
    charter: Charter,
    in_force: CharterInForce,
    truth: Sequence[TruthCount],
    traffic: AgentTraffic,
    *,
    standing: Standing | None = None,
) -> AgentPage:
    """Return the Agent page of a verdict; its moment is the verdict's.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        in_force: The same as it was accepted.
        truth: Claims against the system of record, by task type.
        traffic: Tasks and outcomes of the chart's window.
        standing: What is not in the verdict; None where nobody looked.
    """
    now = verdict.as_of
    mark = mark_of(verdict.status, verdict.reason)
    names = person_names(charter)
    owner = known(charter.owner.person)
    rows = truth_rows(truth, verdict)
    changes = change_rows(traffic, in_force, now)
    chart = daily_chart(
        traffic.outcomes.values(),
        traffic.window_from,
        traffic.window_to,
        bound=_agreement_bound(charter),
        changes=[(row.at.at, row.what) for row in changes],
    )
    numbers = {mark.text: mark.number for mark in chart.changes} if chart else {}
    changes = tuple(row.model_copy(update={"number": numbers.get(row.what, "")}) for row in changes)
    return AgentPage(
        name="agent",
        title=f"{mark.spoken} · {verdict.agent}",
        heading=shown_text(known(charter.title) or verdict.agent),
        agent=verdict.agent,
        as_of=page_moment(now),
        mark=mark,
        sentence=Sentence(
            plain=shown_text(verdict.sentence),
            href=f"/agents/{quote(verdict.agent, safe='')}/readiness#{verdict.deciding}",
        ),
        notices=tuple(shown_text(note) for note in verdict.notes),
        word=verdict.word,
        phase=phase_words(verdict.phase),
        purpose=shown_text(known(charter.purpose) or ""),
        owner=shown_text(names.get(owner, owner)) if owner else "nobody is named",
        version=short_digest(verdict.version),
        charter=f"{in_force.number} ({short_digest(verdict.charter_digest)})",
        next_lapse=moment(verdict.next_lapse_at, now) if verdict.next_lapse_at else None,
        standing=standing_facts(verdict, charter, standing, now) if standing else (),
        action=next_step(verdict, charter),
        truth=rows,
        truth_empty=None if rows else no_claims(verdict.agent),
        heads=tuple(title for _, title in FIGURES),
        task_types=_task_type_rows(verdict, charter, traffic, truth),
        chart=chart,
        cost=cost_trend(traffic.tasks),
        changes=changes,
        worst=worst_rows(traffic, verdict.agent, now),
        versions=version_rows(traffic, charter, verdict.version, now),
        stood_in=stood_in_words(traffic, charter),
        window=f"last {plural((traffic.window_to - traffic.window_from).days, 'day')}",
        open_readiness=Link(
            text="All requirements", href=f"/agents/{quote(verdict.agent, safe='')}/readiness"
        ),
    )


def cost_trend(tasks: Sequence[Task]) -> CostTrend | None:
    """Return the mean cost of a task on each day, or None when no day is fully priced.

    Args:
        tasks: Tasks of one agent, any order.
    """
    by_day: dict[date, list[Task]] = {}
    for task in tasks:
        by_day.setdefault(at_ns(task.start_ns).date(), []).append(task)
    if not by_day:
        return None
    first, last = max(min(by_day), max(by_day) - timedelta(days=DAYS_MAX - 1)), max(by_day)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    values = [(f"{one.day} {one:%b}", _mean(by_day.get(one, ()))) for one in days]
    rows = tuple(
        CostDay(
            day=f"{one.day} {one:%b %Y}",
            shown=_words(value, by_day.get(one, ())),
            tasks=f"{len(by_day.get(one, ())):,}",
        )
        for one, (_label, value) in zip(days, values, strict=True)
    )
    measured = [value for _label, value in values if value is not None]
    if not measured:
        return None
    unpriced = sum(
        bool(by_day.get(one)) and value is None for one, (_label, value) in zip(days, values, strict=True)
    )
    words = f"Between ${significant(min(measured))} and ${significant(max(measured))} a task; last ${significant(measured[-1])}."
    picture = trend(
        values,
        title="Cost per task, by day",
        in_words=lambda value: f"${significant(value)} a task",
        bound=None,
        bound_text="",
        words=words,
    )
    if picture is None:
        return None
    missing = f" {plural(unpriced, 'day')} with calls that have no price draw no bar." if unpriced else ""
    return CostTrend(
        title="Cost per task, by day",
        picture=picture,
        caption=f"{words} Mean of all tasks of a day, {plural(len(tasks), 'task')} in all; the axis begins at zero.{missing}",
        days=rows,
    )


def _mean(tasks: Sequence[Task]) -> float | None:
    costs = [task.cost_usd for task in tasks]
    known = [float(cost) for cost in costs if cost is not None]
    return sum(known) / len(known) if known and len(known) == len(costs) else None


def _words(value: float | None, tasks: Sequence[Task]) -> str:
    if value is not None:
        return f"${significant(value)}"
    return UNKNOWN if tasks else "no task"


def _figure(name: str, item: ItemVerdict | None, currency: str) -> Figure:
    if item is None:
        return Figure(name=name, mark=mark_of(Status.NO_EVIDENCE), quantity=None, committed="", cases="")
    quantity = quantity_of(item, currency)
    cases = f"n {item.n:,}" if quantity else ""
    return Figure(
        name=name, mark=mark_of(item.status, item.reason), quantity=quantity, committed=item.rule, cases=cases
    )


def _task_type_rows(
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
                    bound=_agreement_bound(charter, name),
                )
            ),
            figures=tuple(
                _figure(title, items.get((kind, name)), known(charter.currency) or "")
                for kind, title in FIGURES
            ),
        )
        for name in names
    )


def _agreement_bound(charter: Charter, task_type: str | None = None) -> float | None:
    """Return the committed rate of agreement of a task type, or the loosest, which all of them must reach."""
    bounds = [
        known(terms.discrepancy.max)
        for name, terms in charter.task_types.items()
        if task_type in {None, name}
    ]
    stated = [bound for bound in bounds if bound is not None]
    return 1 - max(stated) if stated and len(stated) == len(bounds) else None
