# SPDX-License-Identifier: Apache-2.0
"""The portfolio: every agent with its stage, its worst item, its owner, its stable days, its value and six capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pilothouse.core.charter.answers import known
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.verdict import RequirementVerdict, Status, worst_status
from pilothouse.reports.fleet import VALUE, Governed
from pilothouse.reports.moments import Moment, moment
from pilothouse.reports.rollout_clock import clock_words
from pilothouse.reports.task_cost import TaskCost, task_cost
from pilothouse.reports.view_models import (
    Empty,
    Frozen,
    Link,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.waiting_work import (
    calls_of,
    incidents_of,
    reviews_of,
    waiting_words,
)
from pilothouse.reports.words import phase_words, plural

__all__ = ["CAPABILITIES", "CapabilityCell", "PortfolioPage", "PortfolioRow", "build_portfolio"]

CAPABILITIES = (
    ("error handling", "try and catch", ("INT-3", "INT-7", "INT-11")),
    ("observability", "API logs and uptime", ("MON-1", "MON-2", "MON-6", "MON-13")),
    ("testing", "by hand before launch", ("EVAL-1", "EVAL-2", "EVAL-3", "EVAL-10")),
    ("security", "trusted surroundings", ("INT-8", "MON-10")),
    ("operations", "the team that built it", ("MON-5", "OWN-2", "OWN-7", "OWN-8")),
    ("compliance", "after launch", ("INT-9", "MON-10")),
)
"""Six capabilities: what a pilot has, in words, and which requirements decide that production has it."""


class CapabilityCell(Frozen):
    """One capability of one agent.

    Attributes:
        name: The capability.
        pilot: What a pilot has, in words.
        mark: Worst status of what production asks for.
        decided_by: The requirement that decides.
        level: `production-scale` while everything holds, else `pilot-only`.
    """

    name: str
    pilot: str
    mark: StatusMark
    decided_by: str
    level: str


class PortfolioRow(Frozen):
    """One agent.

    Attributes:
        agent: Name with the link to its page.
        mark: Status.
        word: The word of its verdict, or empty.
        stage: Its phase.
        incidents: Those that are open.
        reviews: Answers that are owed.
        calls: Calls of tools that wait for a yes or no.
        cost: What a task costs.
        worst: What decides, in a few words.
        worst_link: The requirement with the link to it, or None.
        owner: Who answers for it, or empty.
        stable: Day of the stability clock, in words.
        value: Status of its value against what was committed.
        value_text: Why, in a few words.
        capabilities: The six capabilities; empty without a verdict.
        judged: When it was judged, or None.
    """

    agent: Link
    mark: StatusMark
    word: str
    stage: str
    incidents: Link
    reviews: Link
    calls: Link
    cost: TaskCost
    worst: str
    worst_link: Link | None
    owner: str
    stable: str
    value: StatusMark
    value_text: str
    capabilities: tuple[CapabilityCell, ...]
    judged: Moment | None


class PortfolioPage(Page):
    """All agents with a charter, worst first; nothing is added up over them.

    Attributes:
        rows: One for each agent.
        empty: What stands there without agents.
    """

    rows: tuple[PortfolioRow, ...]
    empty: Empty | None = None


_RANK = {status: rank for rank, status in enumerate(Status)}


def build_portfolio(governed: Sequence[Governed], now: datetime) -> PortfolioPage:
    """Return the portfolio of agents with a charter."""
    rows = sorted(
        (_row(one, now) for one in governed), key=lambda row: (_RANK[row.mark.status], row.agent.text)
    )
    worst = rows[0].mark if rows else None
    return PortfolioPage(
        name="portfolio",
        title=f"{worst.spoken} · Portfolio" if worst else "Portfolio",
        heading="Portfolio",
        as_of=page_moment(now),
        mark=worst,
        sentence=Sentence(
            plain=" ".join(filter(None, (_sentence(rows), waiting_words([one.work for one in governed]))))
        ),
        rows=tuple(rows),
        empty=None
        if rows
        else Empty(missing="No agent has a charter yet.", command="pilothouse init PATH-TO-YOUR-AGENT"),
    )


def _sentence(rows: Sequence[PortfolioRow]) -> str:
    if not rows:
        return "No agent has a charter yet."
    words: dict[str, int] = {}
    for row in rows:
        words[row.word or "NO VERDICT"] = words.get(row.word or "NO VERDICT", 0) + 1
    counts = ", ".join(f"{count} {word}" for word, count in words.items())
    return f"{plural(len(rows), 'agent')}: {counts}."


def _row(one: Governed, now: datetime) -> PortfolioRow:
    verdict = one.verdict
    names = person_names(one.charter) if one.charter else {}
    owner = known(one.charter.owner.person) if one.charter else None
    by_id = {found.requirement: found for found in verdict.requirements} if verdict else {}
    worst, value = by_id.get(verdict.deciding) if verdict else None, by_id.get(VALUE)
    return PortfolioRow(
        agent=Link(text=one.agent, href=f"/agents/{one.agent}/agent"),
        mark=mark_of(verdict.status, verdict.reason) if verdict else mark_of(Status.NO_EVIDENCE),
        word=verdict.word if verdict else "",
        stage=phase_words(verdict.phase, one.stopped) if verdict else one.stopped,
        incidents=incidents_of(one.work),
        reviews=reviews_of(one.work, now),
        calls=calls_of(one.work, now),
        cost=task_cost(verdict, one.charter),
        worst=worst.statement if worst else shown_text(one.problem),
        worst_link=Link(text=worst.requirement, href=f"/agents/{one.agent}/readiness#{worst.requirement}")
        if worst
        else None,
        owner=shown_text(names.get(owner, owner)) if owner else "",
        stable=clock_words(one.clock),
        value=mark_of(value.status, value.reason) if value else mark_of(Status.NO_EVIDENCE),
        value_text=shown_text(value.deciding.sentence) if value else "",
        capabilities=tuple(_cell(name, pilot, ids, by_id) for name, pilot, ids in CAPABILITIES)
        if verdict
        else (),
        judged=moment(verdict.as_of, now) if verdict else None,
    )


def _cell(
    name: str, pilot: str, ids: tuple[str, ...], by_id: dict[str, RequirementVerdict]
) -> CapabilityCell:
    found = [by_id[requirement] for requirement in ids]
    worst = worst_status(tuple(one.status for one in found))
    deciding = next(one for one in found if one.status is worst)
    is_there = worst in {Status.HOLDS, Status.AT_RISK}
    return CapabilityCell(
        name=name,
        pilot=pilot,
        mark=mark_of(worst, deciding.reason),
        decided_by=deciding.requirement,
        level="production-scale" if is_there else "pilot-only",
    )
