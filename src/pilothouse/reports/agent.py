# SPDX-License-Identifier: Apache-2.0
"""The Agent page: the sentence, the one action, the truth line and what stands behind them (verdict, traffic → page)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.outcome import Outcome, OutcomeStatus
from pilothouse.core.evidence.task import Task
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.statistics.intervals import jeffreys_interval
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import interval, percent, short_digest
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.charts import BandChart, daily_chart
from pilothouse.reports.cost_trend import CostTrend, cost_trend
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import Moment, at_ns, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.sparks import Spark, spark_of
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
    outcome_mark,
    page_moment,
    quantity_of,
    shown_text,
)
from pilothouse.reports.words import phase_words, plural

__all__ = [
    "AgentPage",
    "AgentTraffic",
    "ChangeRow",
    "Figure",
    "TaskTypeRow",
    "TruthRow",
    "VersionRow",
    "WorstRow",
    "build_agent",
    "truth_rows",
]

CHANGES_MAX = 20
"""Changes listed, newest first."""

WORST_MAX = 10
"""Tasks listed as the worst: a person opens a few."""

FIGURES = (
    ("completion", "Completion"),
    ("quality", "Quality"),
    ("discrepancy", "Contradicted"),
    ("escalation", "Escalation"),
    ("latency", "Latency p95"),
    ("cost_per_task", "Cost per task"),
)
"""Kinds of evidence shown for each task type, with their column heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTraffic:
    """What the lake and the verifiers know about one agent lately.

    Attributes:
        tasks: Tasks of the window, any order.
        outcomes: Their outcomes by trace id.
        window_from: Start of the window, aware UTC.
        window_to: End, aware UTC.
    """

    tasks: Sequence[Task]
    outcomes: Mapping[str, Outcome]
    window_from: datetime
    window_to: datetime


class TruthRow(Frozen):
    """Claims against the system of record; the counts add up to `said_done`.

    Attributes:
        task_type: Task type, or `All task types`.
        line: The whole row as one line, for screen readers and terminal.
        said_done: Claims.
        agrees: The system of record agrees.
        contradicts: It says otherwise.
        cannot_tell: It cannot tell, or nobody asked yet.
        shares: The three parts as shares of `said_done`, for the bar; empty without a claim.
        rate: Contradicted claims of those answered, with interval, or None.
        committed: What the charter commits to, in words.
        mark: Status of the commitment, or None where there is none.
        total: Whether it is the sum of the others.
    """

    task_type: str
    line: str
    said_done: Quantity
    agrees: Quantity
    contradicts: Quantity
    cannot_tell: Quantity
    shares: tuple[float, ...] = ()
    rate: Quantity | None = None
    committed: str = ""
    mark: StatusMark | None = None
    total: bool = False


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


class ChangeRow(Frozen):
    """Something that was seen for the first time: a version, a model, a charter; `number` is its mark in the chart."""

    at: Moment
    number: str = ""
    kind: str
    what: str


class WorstRow(Frozen):
    """A task whose claim the system of record contradicts."""

    link: Link
    at: Moment
    task_type: str
    claim: str
    found: str
    mark: StatusMark


class VersionRow(Frozen):
    """One version of the agent."""

    digest: str
    judged: bool
    first: Moment
    last: Moment
    tasks: Quantity
    agreement: Quantity | None


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
        truth: Claims against the system of record, the sum first.
        truth_empty: What stands there without a claim, or None.
        heads: Column heads of the task types.
        task_types: Figures of each task type.
        chart: Daily agreement, or None without outcomes.
        cost: Cost per task by day, or None while no day is priced.
        changes: What was seen first, newest first.
        worst: Contradicted claims, newest first.
        versions: Versions, latest first.
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
    truth: tuple[TruthRow, ...]
    truth_empty: Empty | None
    heads: tuple[str, ...]
    task_types: tuple[TaskTypeRow, ...]
    chart: BandChart | None
    cost: CostTrend | None
    changes: tuple[ChangeRow, ...]
    worst: tuple[WorstRow, ...]
    versions: tuple[VersionRow, ...]
    window: str
    open_readiness: Link


def _items_by_kind(verdict: AgentVerdict) -> dict[tuple[str, str | None], ItemVerdict]:
    found: dict[tuple[str, str | None], ItemVerdict] = {}
    for requirement in verdict.requirements:
        if requirement.domain in {"Q", "PROD"}:
            continue
        for item in requirement.items:
            found.setdefault((item.kind, item.scope.task_type), item)
    return found


def _truth_row(name: str, count: TruthCount, item: ItemVerdict | None, *, total: bool = False) -> TruthRow:
    parts = (count.agrees, count.contradicts, count.cannot_tell)
    return TruthRow(
        task_type=name,
        line=count.line,
        said_done=count_of(count.said_done),
        agrees=count_of(count.agrees),
        contradicts=count_of(count.contradicts),
        cannot_tell=count_of(count.cannot_tell),
        shares=tuple(round(part / count.said_done, 4) for part in parts) if count.said_done else (),
        rate=quantity_of(item, "") if item else None,
        committed=item.rule if item else "",
        mark=mark_of(item.status, item.reason) if item else None,
        total=total,
    )


def truth_rows(truth: Sequence[TruthCount], verdict: AgentVerdict) -> tuple[TruthRow, ...]:
    """Return the truth line of all task types and of each; empty when nothing ever claimed to be done.

    Args:
        truth: Counts by task type.
        verdict: Gives the rate, its interval and its status.
    """
    if not any(count.said_done for count in truth):
        return ()
    items = _items_by_kind(verdict)
    whole = TruthCount(
        task_type="",
        said_done=sum(count.said_done for count in truth),
        agrees=sum(count.agrees for count in truth),
        contradicts=sum(count.contradicts for count in truth),
        unverifiable=sum(count.unverifiable for count in truth),
        pending=sum(count.pending for count in truth),
        not_asked=sum(count.not_asked for count in truth),
    )
    rows = [
        _truth_row(foreign_line(count.task_type), count, items.get(("discrepancy", count.task_type)))
        for count in truth
    ]
    return (_truth_row("All task types", whole, None, total=True), *rows)


def _figure(name: str, item: ItemVerdict | None, currency: str) -> Figure:
    if item is None:
        return Figure(name=name, mark=mark_of(Status.NO_EVIDENCE), quantity=None, committed="", cases="")
    quantity = quantity_of(item, currency)
    cases = f"n {item.n:,}" if quantity else ""
    return Figure(
        name=name, mark=mark_of(item.status, item.reason), quantity=quantity, committed=item.rule, cases=cases
    )


def _task_types(
    verdict: AgentVerdict, charter: Charter, traffic: AgentTraffic, truth: Sequence[TruthCount]
) -> tuple[TaskTypeRow, ...]:
    items = _items_by_kind(verdict)
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


def _first_seen(tasks: Iterable[Task]) -> dict[tuple[str, str], int]:
    first: dict[tuple[str, str], int] = {}
    for task in tasks:
        keys = [("Version", task.version_digest)] if task.version_digest else []
        keys += [("Model", model) for model in task.models]
        for key in keys:
            if task.start_ns < first.get(key, task.start_ns + 1):
                first[key] = task.start_ns
    return first


def _changes(traffic: AgentTraffic, in_force: CharterInForce, now: datetime) -> tuple[ChangeRow, ...]:
    """Return what was seen first inside the window; what was there from its first hour on is no change."""
    rows = [
        ChangeRow(
            at=moment(at_ns(first), now),
            kind=kind,
            what=f"{kind} {short_digest(name) if kind == 'Version' else foreign_line(name)} first seen",
        )
        for (kind, name), first in _first_seen(traffic.tasks).items()
    ]
    rows.append(
        ChangeRow(
            at=moment(in_force.accepted_at, now), kind="Charter", what=f"Charter {in_force.number} accepted"
        )
    )
    return tuple(sorted(rows, key=lambda row: (row.at.at, row.what), reverse=True)[:CHANGES_MAX])


def _worst(traffic: AgentTraffic, agent: str, now: datetime) -> tuple[WorstRow, ...]:
    wrong = [one for one in traffic.outcomes.values() if one.status is OutcomeStatus.CONTRADICTED]
    wrong.sort(key=lambda one: (one.critical is None, -one.task_start_ns, one.trace_id))
    return tuple(
        WorstRow(
            link=Link(text=one.trace_id[:8], href=f"/agents/{quote(agent, safe='')}/tasks/{one.trace_id}"),
            at=moment(at_ns(one.task_start_ns), now),
            task_type=foreign_line(one.task_type),
            claim=foreign_line(one.claim or ""),
            found=foreign_line(f"critical: {one.critical}; {one.found}" if one.critical else one.found),
            mark=outcome_mark(one.status),
        )
        for one in wrong[:WORST_MAX]
    )


def _rate(good: int, n: int) -> Quantity | None:
    found = jeffreys_interval(good, n)
    if isinstance(found, NotEnoughEvidence):
        return None
    return Quantity(
        value=found.value,
        unit="rate",
        low=found.low,
        high=found.high,
        n=n,
        shown=percent(found.value, n),
        shown_interval=interval(found.low, found.high, "rate", n=n, currency=""),
    )


def _versions(traffic: AgentTraffic, judged: str | None, now: datetime) -> tuple[VersionRow, ...]:
    groups: dict[str | None, list[Task]] = {}
    for task in traffic.tasks:
        groups.setdefault(task.version_digest, []).append(task)
    rows = []
    for digest, tasks in groups.items():
        found = [
            traffic.outcomes[task.trace_id].status for task in tasks if task.trace_id in traffic.outcomes
        ]
        good = found.count(OutcomeStatus.VERIFIED)
        rows.append(
            VersionRow(
                digest=short_digest(digest),
                judged=digest == judged,
                first=moment(at_ns(min(task.start_ns for task in tasks)), now),
                last=moment(at_ns(max(task.start_ns for task in tasks)), now),
                tasks=count_of(len(tasks)),
                agreement=_rate(good, good + found.count(OutcomeStatus.CONTRADICTED)),
            )
        )
    return tuple(sorted(rows, key=lambda row: row.last.at, reverse=True)[:CHANGES_MAX])


def _agreement_bound(charter: Charter, task_type: str | None = None) -> float | None:
    """Return the committed rate of agreement of a task type, or the loosest, which all of them must reach."""
    bounds = [
        known(terms.discrepancy.max)
        for name, terms in charter.task_types.items()
        if task_type in {None, name}
    ]
    stated = [bound for bound in bounds if bound is not None]
    return 1 - max(stated) if stated and len(stated) == len(bounds) else None


def build_agent(
    verdict: AgentVerdict,
    charter: Charter,
    in_force: CharterInForce,
    truth: Sequence[TruthCount],
    traffic: AgentTraffic,
    *,
    notices: tuple[str, ...] = (),
) -> AgentPage:
    """Return the Agent page of a verdict; its moment is the verdict's.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        in_force: The same as it was accepted.
        truth: Claims against the system of record, by task type.
        traffic: Tasks and outcomes of the chart's window.
        notices: What a reader must know about the page.
    """
    now = verdict.as_of
    mark = mark_of(verdict.status, verdict.reason)
    names = person_names(charter)
    owner = known(charter.owner.person)
    rows = truth_rows(truth, verdict)
    changes = _changes(traffic, in_force, now)
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
        notices=tuple(shown_text(note) for note in (*notices, *verdict.notes)),
        word=verdict.word,
        phase=phase_words(verdict.phase),
        purpose=shown_text(known(charter.purpose) or ""),
        owner=shown_text(names.get(owner, owner)) if owner else "nobody is named",
        version=short_digest(verdict.version),
        charter=f"{in_force.number} ({short_digest(verdict.charter_digest)})",
        next_lapse=moment(verdict.next_lapse_at, now) if verdict.next_lapse_at else None,
        action=next_step(verdict, charter),
        truth=rows,
        truth_empty=None if rows else _no_claims(verdict.agent),
        heads=tuple(title for _, title in FIGURES),
        task_types=_task_types(verdict, charter, traffic, truth),
        chart=chart,
        cost=cost_trend(traffic.tasks),
        changes=changes,
        worst=_worst(traffic, verdict.agent, now),
        versions=_versions(traffic, verdict.version, now),
        window=f"last {plural((traffic.window_to - traffic.window_from).days, 'day')}",
        open_readiness=Link(
            text="All requirements", href=f"/agents/{quote(verdict.agent, safe='')}/readiness"
        ),
    )


def _no_claims(agent: str) -> Empty:
    return Empty(
        missing="No task has said that it is done, so there is nothing to hold against the system of record.",
        asked_by="MON-7, the agent tells the truth",
        command=f"pilothouse traces --agent {agent}",
    )
