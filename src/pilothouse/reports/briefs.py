# SPDX-License-Identifier: Apache-2.0
"""Pages in short, for a reader that pays for each word: a coding assistant that asks by MCP (page → brief).

A brief says nothing that its page does not say: every text of a number is the page's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from pilothouse.core.verdict.verdict import Status
from pilothouse.errors import UnknownName
from pilothouse.reports.fleet import FleetPage
from pilothouse.reports.readiness import ReadinessPage
from pilothouse.reports.requirement_rows import ItemRow, RequirementRow
from pilothouse.reports.tasks import TasksPage
from pilothouse.reports.trace import SpanRow, TracePage
from pilothouse.reports.view_models import Frozen, Link

__all__ = [
    "AgentBrief",
    "AgentsBrief",
    "EvidenceBrief",
    "ItemBrief",
    "RequirementBrief",
    "RunBrief",
    "SpanBrief",
    "TaskBrief",
    "TasksBrief",
    "VerdictBrief",
    "brief_agents",
    "brief_evidence",
    "brief_run",
    "brief_tasks",
    "brief_verdict",
]

TEXT_CHARS_MAX = 300
"""Of each text of a span in the overview of a run; the texts of one span are given as its page has them."""

SPANS_MAX = 100
"""Spans of an overview, some 40 kB; who reads more of them asks for single ones."""


class AgentBrief(Frozen):
    """One agent: its status, the word of its verdict, why, and the command that comes next, each empty where there is none."""

    agent: str
    status: str
    verdict: str
    phase: str
    why: str
    next_step: str


class AgentsBrief(Frozen):
    """Every agent, worst first."""

    as_of: str
    agents: tuple[AgentBrief, ...]


class RequirementBrief(Frozen):
    """One requirement: what it asks, what was found, and the command that would settle it."""

    id: str
    statement: str
    status: str
    found: str
    must_hold: str
    next_step: str
    who: tuple[str, ...]
    waiver: str


class VerdictBrief(Frozen):
    """The verdict on an agent, with every requirement that does not hold.

    Attributes:
        agent: Agent id.
        as_of: When it was judged.
        verdict: `GO`, `GO WITH CONDITIONS`, `NO-GO` or `NOT ENOUGH EVIDENCE`.
        status: Its status.
        sentence: Why, in one sentence.
        phase: Phase the agent is in.
        version: Short digest of the judged version.
        notices: What besides must be known.
        asked_now: Requirements of the gate ahead that do not hold, worst first.
        asked_later: Those that only later gates ask for.
        holding: Ids of those that hold.
    """

    agent: str
    as_of: str
    verdict: str
    status: str
    sentence: str
    phase: str
    version: str
    notices: tuple[str, ...]
    asked_now: tuple[RequirementBrief, ...]
    asked_later: tuple[RequirementBrief, ...]
    holding: tuple[str, ...]


class ItemBrief(Frozen):
    """One part of a requirement with the evidence behind it; fields as on the Readiness page, empty where there is none."""

    part: str
    status: str
    found: str
    must_hold: str
    measured: str
    interval: str
    cases: str
    window: str
    age: str
    lapses: str
    basis: str
    source: str
    method: str
    next_step: str
    who: tuple[str, ...]
    example_runs: tuple[str, ...]


class EvidenceBrief(Frozen):
    """Everything that is known about one requirement."""

    agent: str
    as_of: str
    id: str
    statement: str
    status: str
    gates: str
    waiver: str
    parts: tuple[ItemBrief, ...]


class TaskBrief(Frozen):
    """One task: what the agent said, and what the system of record says about it."""

    run: str
    at: str
    task_type: str
    agent_says: str
    system_of_record: str
    took: str
    cost: str
    version: str
    models: str
    text: str
    notes: tuple[str, ...]


class TasksBrief(Frozen):
    """Tasks of an agent, newest first; `more` says how to see older ones, and is empty at the end."""

    agent: str
    as_of: str
    tasks: tuple[TaskBrief, ...]
    more: str


class SpanBrief(Frozen):
    """One step of a run; `level` is its depth in the tree, `texts` its input, output, attributes and events."""

    span: str
    level: int
    name: str
    kind: str
    starts: str
    took: str
    failed: str
    facts: tuple[str, ...]
    texts: dict[str, str]


class RunBrief(Frozen):
    """One run: what the agent claims, what the system of record says, and its steps in order."""

    agent: str
    run: str
    task_type: str
    claim: str
    system_of_record: str
    found_there: str
    findings: tuple[str, ...]
    steps: tuple[SpanBrief, ...]
    left_out: str


def brief_agents(page: FleetPage) -> AgentsBrief:
    """Return Fleet in short."""
    return AgentsBrief(
        as_of=page.as_of.absolute,
        agents=tuple(
            AgentBrief(
                agent=row.agent.text,
                status=row.mark.spoken,
                verdict=row.word.text,
                phase=row.phase,
                why=row.sentence,
                next_step=row.command,
            )
            for row in page.rows
        ),
    )


def brief_verdict(page: ReadinessPage) -> VerdictBrief:
    """Return Readiness in short: the whole page has five times as many words."""
    rows = list(_rows(page))
    open_rows = [row for row in rows if row.mark.status is not Status.HOLDS]
    return VerdictBrief(
        agent=page.agent or "",
        as_of=page.as_of.absolute,
        verdict=page.word,
        status=page.mark.spoken if page.mark else "",
        sentence=page.sentence.plain,
        phase=page.phase,
        version=page.version,
        notices=page.notices,
        asked_now=tuple(_requirement(row) for row in open_rows if row.asked_now),
        asked_later=tuple(_requirement(row) for row in open_rows if not row.asked_now),
        holding=tuple(row.id for row in rows if row.mark.status is Status.HOLDS),
    )


def brief_evidence(page: ReadinessPage, requirement: str) -> EvidenceBrief:
    """Return one requirement with all that is known about it.

    Args:
        page: The whole Readiness page.
        requirement: Its id, for example `EVAL-7`.

    Raises:
        UnknownName: The verdict has no such requirement.
    """
    rows = {row.id: row for row in _rows(page)}
    row = rows.get(requirement.upper())
    if row is None:
        raise UnknownName.among(
            "requirement",
            requirement,
            rows,
            remedy="`verdict` lists those that do not hold, and names the others.",
        )
    return EvidenceBrief(
        agent=page.agent or "",
        as_of=page.as_of.absolute,
        id=row.id,
        statement=row.statement,
        status=row.mark.spoken,
        gates=row.gates,
        waiver=row.waiver.text if row.waiver else "",
        parts=tuple(_item(item) for item in (*(row.items or (row.deciding,)), *row.rest)),
    )


def brief_tasks(page: TasksPage) -> TasksBrief:
    """Return a page of tasks in short."""
    return TasksBrief(
        agent=page.agent or "",
        as_of=page.as_of.absolute,
        tasks=tuple(
            TaskBrief(
                run=_last_part(row.link),
                at=row.at.absolute,
                task_type=row.task_type,
                agent_says=row.result,
                system_of_record=row.outcome.spoken,
                took=row.took.shown,
                cost=row.cost.shown,
                version=row.version,
                models=row.models,
                text=row.text,
                notes=row.notes,
            )
            for row in page.rows
        ),
        more="Older ones: narrow the query, for example with `until:` and a date." if page.older else "",
    )


def brief_run(page: TracePage, span: str = "") -> RunBrief:
    """Return a run in short, or one of its steps with its texts as long as the page has them.

    Args:
        page: The Trace page.
        span: Span id of the one step that is wanted, or empty for the overview.

    Raises:
        UnknownName: The run has no such step.
    """
    every = (*page.spans, *page.unplaced)
    if span:
        shown = [row for row in every if row.id == span]
        if not shown:
            raise UnknownName(
                f"no step {span!r} in this run", remedy="Leave `span` out to see all steps.", subject=span
            )
    else:
        shown = list(every[:SPANS_MAX])
    folded = len(every) - len(shown)
    left_out = page.hidden or (f"{folded} further steps; ask for each by `span`" if folded else "")
    claim = page.claim
    return RunBrief(
        agent=page.agent or "",
        run=page.trace_id,
        task_type=page.task.task_type if page.task else "",
        claim=claim.claim.text if claim.claim else "",
        system_of_record=claim.mark.spoken,
        found_there=claim.found.text if claim.found else "",
        findings=page.findings,
        steps=tuple(_span(row, whole=bool(span)) for row in shown),
        left_out="" if span else left_out,
    )


def _rows(page: ReadinessPage) -> Iterable[RequirementRow]:
    for domain in page.domains:
        yield from domain.requirements
        yield from domain.later


def _requirement(row: RequirementRow) -> RequirementBrief:
    return RequirementBrief(
        id=row.id,
        statement=row.statement,
        status=row.mark.spoken,
        found=row.deciding.sentence,
        must_hold=row.deciding.rule,
        next_step=row.deciding.command,
        who=row.deciding.who,
        waiver=row.waiver.text if row.waiver else "",
    )


def _item(item: ItemRow) -> ItemBrief:
    measured = item.measured
    return ItemBrief(
        part=item.scope,
        status=item.mark.spoken,
        found=item.sentence,
        must_hold=item.rule,
        measured=measured.shown if measured else "",
        interval=measured.shown_interval if measured else "",
        cases=item.cases,
        window=item.window,
        age=item.age.shown if item.age else "",
        lapses=item.lapses.absolute if item.lapses else "",
        basis=item.basis,
        source=item.source,
        method=item.method,
        next_step=item.command,
        who=item.who,
        example_runs=tuple(_last_part(one) for one in item.examples),
    )


def _span(row: SpanRow, *, whole: bool) -> SpanBrief:
    texts = {field.name: field.text.text for field in row.fields if field.text.text}
    return SpanBrief(
        span=row.id,
        level=row.depth,
        name=row.name,
        kind=row.label,
        starts=row.starts,
        took=row.took.shown,
        failed=row.failed,
        facts=row.facts,
        texts=texts if whole else {name: _short(text) for name, text in texts.items()},
    )


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}…"


def _last_part(link: Link) -> str:
    """Return the whole id that a page's link leads to; its text is only the beginning."""
    return link.href.rpartition("/")[2]
