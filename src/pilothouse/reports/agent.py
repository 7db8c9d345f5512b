# SPDX-License-Identifier: Apache-2.0
"""The Agent page: the sentence, the one action, the truth line and what stands behind them (verdict, traffic → page)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.truth import TruthCount
from pilothouse.core.verdict.numbers import short_digest
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.ports.ledger import CharterInForce
from pilothouse.reports.agent_traffic import (
    AgentTraffic,
    ChangeRow,
    VersionRow,
    WorstRow,
    change_rows,
    version_rows,
    worst_rows,
)
from pilothouse.reports.charts import BandChart, daily_chart
from pilothouse.reports.cost_trend import CostTrend, cost_trend
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.task_type_rows import FIGURES, TaskTypeRow, agreement_bound, task_type_rows
from pilothouse.reports.truth_line import TruthRow, no_claims, truth_rows
from pilothouse.reports.view_models import Empty, Link, Page, Sentence, mark_of, page_moment, shown_text
from pilothouse.reports.words import phase_words, plural

__all__ = ["AgentPage", "build_agent"]


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


def build_agent(
    verdict: AgentVerdict,
    charter: Charter,
    in_force: CharterInForce,
    truth: Sequence[TruthCount],
    traffic: AgentTraffic,
) -> AgentPage:
    """Return the Agent page of a verdict; its moment is the verdict's.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        in_force: The same as it was accepted.
        truth: Claims against the system of record, by task type.
        traffic: Tasks and outcomes of the chart's window.
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
        bound=agreement_bound(charter),
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
        action=next_step(verdict, charter),
        truth=rows,
        truth_empty=None if rows else no_claims(verdict.agent),
        heads=tuple(title for _, title in FIGURES),
        task_types=task_type_rows(verdict, charter, traffic, truth),
        chart=chart,
        cost=cost_trend(traffic.tasks),
        changes=changes,
        worst=worst_rows(traffic, verdict.agent, now),
        versions=version_rows(traffic, verdict.version, now),
        window=f"last {plural((traffic.window_to - traffic.window_from).days, 'day')}",
        open_readiness=Link(
            text="All requirements", href=f"/agents/{quote(verdict.agent, safe='')}/readiness"
        ),
    )
