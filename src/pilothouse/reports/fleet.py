# SPDX-License-Identifier: Apache-2.0
"""The Fleet page: every agent with its status, worst first (verdicts → page)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.deciding import WORDS
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.stability import StabilityClock
from pilothouse.core.verdict.verdict import AgentVerdict, Reason, Status
from pilothouse.ports.lake import AgentSeen
from pilothouse.reports.foreign import foreign_line
from pilothouse.reports.moments import Moment, at_ns, moment
from pilothouse.reports.next_step import next_step
from pilothouse.reports.pictures import Strip
from pilothouse.reports.rollout_clock import clock_strip, clock_words
from pilothouse.reports.task_cost import TaskCost, task_cost
from pilothouse.reports.view_models import (
    ActionOffer,
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
    shown_text,
)
from pilothouse.reports.waiting_work import (
    NOT_READ,
    WaitingWork,
    calls_of,
    decide_first,
    incidents_of,
    reviews_of,
    take_first,
    waiting_words,
)
from pilothouse.reports.words import UNKNOWN, phase_words, plural

__all__ = ["AGENTS_MAX", "VALUE", "FleetPage", "FleetRow", "Governed", "build_fleet"]

StepOf = Callable[[AgentVerdict, Charter], ActionOffer | None]
"""Gives the one thing that a verdict asks for."""

VALUE = "DATA-10"
"""The requirement that says whether an agent is worth what was committed."""

AGENTS_MAX = 200
"""Agents on the page: beyond that nobody reads a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """An agent with a charter in force.

    Attributes:
        agent: Agent id.
        charter: Its charter, or None when this program cannot read it.
        verdict: Its verdict, or None when none could be given.
        problem: Why there is no verdict, or empty.
        stopped: What keeps it from serving, in a word, or empty.
        clock: Its stability clock, or None while its terms are open questions.
        work: What waits for people.
    """

    agent: str
    charter: Charter | None
    verdict: AgentVerdict | None
    clock: StabilityClock | None = None
    problem: str = ""
    stopped: str = ""
    work: WaitingWork = NOT_READ


class FleetRow(Frozen):
    """One agent.

    Attributes:
        agent: Name with the link to its page.
        mark: Status.
        word: The word of its verdict, with the link to the sheet of whoever decides; empty without one.
        incidents: Those that are open, with the link to where they are taken; empty without a charter.
        reviews: Answers that are owed, with the link to the queue; empty without a charter.
        calls: Calls of tools that wait for a yes or no, with the link to where it is said; empty without a charter.
        phase: Phase, or empty for an agent without a charter.
        deciding: The requirement that decides, or None.
        sentence: What decides it, or what is missing.
        command: What to type when it has no charter, or empty.
        owner: Who answers for it, or empty.
        stable: Day of the stability clock in words, with the link to its days; empty without a charter.
        days: The last days of that clock, or None while there are none.
        value: Status of its value against what was committed, or None without a verdict.
        value_text: Why, in a few words.
        cost: What a task costs, or None without a charter.
        tasks: Tasks seen.
        last: The latest task, or None.
        judged: When it was judged, or None.
    """

    agent: Link
    mark: StatusMark
    word: Link
    incidents: Link
    reviews: Link
    calls: Link
    phase: str
    deciding: Link | None
    sentence: str
    command: str
    owner: str
    stable: Link
    days: Strip | None
    value: StatusMark | None
    value_text: str
    cost: TaskCost | None
    tasks: Quantity
    last: Moment | None
    judged: Moment | None


class FleetPage(Page):
    """All agents; `empty` stands there on the first run."""

    rows: tuple[FleetRow, ...]
    empty: tuple[Empty, ...] = ()


_RANK = {status: rank for rank, status in enumerate(Status)}


def _base(agent: str) -> str:
    return f"/agents/{quote(agent, safe='')}"


def _governed(one: Governed, seen: AgentSeen | None, now: datetime) -> FleetRow:
    verdict = one.verdict
    names = person_names(one.charter) if one.charter else {}
    owner = known(one.charter.owner.person) if one.charter else None
    found = {one.requirement: one for one in verdict.requirements} if verdict else {}
    value = found.get(VALUE)
    return FleetRow(
        agent=Link(text=one.agent, href=f"{_base(one.agent)}/agent"),
        mark=mark_of(verdict.status, verdict.reason)
        if verdict
        else mark_of(Status.NO_EVIDENCE, Reason.STALE),
        word=Link(text=verdict.word, href=f"{_base(one.agent)}/executive") if verdict else Link(text=""),
        incidents=incidents_of(one.work),
        reviews=reviews_of(one.work, now),
        calls=calls_of(one.work, now),
        phase=phase_words(verdict.phase, one.stopped)
        if verdict
        else ", ".join(filter(None, (UNKNOWN, one.stopped))),
        deciding=Link(text=verdict.deciding, href=f"{_base(one.agent)}/readiness#{verdict.deciding}")
        if verdict
        else None,
        sentence=shown_text(verdict.sentence if verdict else one.problem),
        command="",
        owner=shown_text(names.get(owner, owner)) if owner else "",
        stable=Link(text=clock_words(one.clock), href=f"{_base(one.agent)}/rollout"),
        days=clock_strip(one.clock) if one.clock and one.clock.strip else None,
        value=mark_of(value.status, value.reason) if value else None,
        value_text=shown_text(value.deciding.sentence) if value else "",
        cost=task_cost(verdict, one.charter),
        tasks=count_of(seen.tasks if seen else 0),
        last=moment(at_ns(seen.last_ns), now) if seen else None,
        judged=moment(verdict.as_of, now) if verdict else None,
    )


def _without_charter(seen: AgentSeen, now: datetime) -> FleetRow:
    return FleetRow(
        agent=Link(text=foreign_line(seen.agent, chars_max=80), href=f"{_base(seen.agent)}/tasks"),
        mark=mark_of(Status.NO_EVIDENCE, Reason.MISSING),
        word=Link(text=""),
        incidents=Link(text=""),
        reviews=Link(text=""),
        calls=Link(text=""),
        phase="",
        deciding=None,
        sentence="It sends tasks, and no charter says what must hold.",
        command="pilothouse init PATH-TO-THE-AGENT",
        owner="",
        stable=Link(text=""),
        days=None,
        value=None,
        value_text="",
        cost=None,
        tasks=count_of(seen.tasks),
        last=moment(at_ns(seen.last_ns), now),
        judged=None,
    )


def _sentence(rows: Sequence[FleetRow]) -> str:
    if not rows:
        return "No agent is known yet."
    whole = plural(len(rows), "agent")
    marks = [_as_decided(row) for row in rows]
    bad, unknown, conditions = (
        marks.count(one) for one in (Status.BREACHED, Status.NO_EVIDENCE, Status.AT_RISK)
    )
    parts = []
    if bad:
        parts.append(f"{bad:,} of {whole} {'does' if bad == 1 else 'do'} not hold")
    if unknown:
        parts.append(f"{unknown:,} {'has' if unknown == 1 else 'have'} too little evidence")
    if conditions:
        parts.append(f"{conditions:,} may go on with conditions")
    if not parts:
        return f"{whole}: every one holds." if len(rows) > 1 else "The one agent holds."
    return f"{'; '.join(parts)}." if bad else f"Of {whole}, {' and '.join(parts)}."


def _as_decided(row: FleetRow) -> Status:
    """Return a row's status, with missing evidence that is waived as a condition; a breach stays one, waived or not."""
    waived = row.mark.status is Status.NO_EVIDENCE and row.word.text == WORDS[Status.AT_RISK]
    return Status.AT_RISK if waived else row.mark.status


def _worst_mark(rows: Sequence[FleetRow]) -> StatusMark | None:
    worst = min(rows, key=lambda row: _RANK[_as_decided(row)], default=None)
    if worst is None or _as_decided(worst) is worst.mark.status:
        return worst.mark if worst else None
    return mark_of(Status.AT_RISK, word="With conditions")


def _action(
    rows: Sequence[FleetRow], governed: Sequence[Governed], step_of: StepOf, now: datetime
) -> ActionOffer | None:
    """Ask for the gravest incident in nobody's hands, else for an answer to a call, else for the next step of the worst agent."""
    if not rows:
        return ActionOffer(
            label="Draft a charter from your agent's repository.",
            command="pilothouse init PATH-TO-YOUR-AGENT",
        )
    taken = take_first(incident for one in governed for incident in one.work.incidents or ())
    asked = taken or decide_first((one.work for one in governed), now)
    if asked is not None:
        return asked
    worst = rows[0]
    if worst.mark.status is Status.HOLDS:
        return None
    label, href = f"{worst.agent.text}: {worst.sentence}", worst.agent.href
    if worst.command:
        return ActionOffer(label=label, command=worst.command, href=href)
    one = next(one for one in governed if one.agent == worst.agent.text)
    step = step_of(one.verdict, one.charter) if one.verdict and one.charter else None
    if step is None:
        return ActionOffer(label=label, command="pilothouse doctor", href=href)
    return step.model_copy(update={"label": f"{worst.agent.text}: {step.label}"})


def _first_steps() -> tuple[Empty, ...]:
    return (
        Empty(missing="See how it looks with an agent that comes along.", command="pilothouse demo"),
        Empty(
            missing="Draft a charter from your agent's repository.",
            command="pilothouse init PATH-TO-YOUR-AGENT",
        ),
        Empty(missing="Let its traces arrive.", command="pilothouse run -- COMMAND-THAT-STARTS-YOUR-AGENT"),
        Empty(missing="Or bring traces you already have.", command="pilothouse import FILE"),
    )


def build_fleet(
    governed: Sequence[Governed],
    seen: Sequence[AgentSeen],
    now: datetime,
    *,
    notices: tuple[str, ...] = (),
    step: StepOf = next_step,
) -> FleetPage:
    """Return the Fleet page.

    Args:
        governed: Agents with a charter.
        seen: Agents as telemetry knows them.
        now: The moment, aware UTC.
        notices: What a reader must know about the page.
        step: Gives what a verdict asks for; who shows the page often keeps it.
    """
    by_name = {one.agent: one for one in seen}
    names = {one.agent for one in governed}
    rows = [_governed(one, by_name.get(one.agent), now) for one in governed]
    rows += [_without_charter(one, now) for one in seen if one.agent not in names]
    active = {one.agent for one in governed if one.work.incidents}
    rows.sort(
        key=lambda row: (
            _RANK[row.mark.status],
            row.agent.text not in active,
            row.judged is None,
            row.agent.text,
        )
    )
    said = list(notices)
    if len(rows) > AGENTS_MAX:
        said.append(f"{AGENTS_MAX} of {len(rows):,} agents are shown, worst first.")
    worst = _worst_mark(rows)
    return FleetPage(
        name="fleet",
        title=f"{worst.spoken} · Fleet" if worst else "Fleet",
        heading="Fleet",
        as_of=page_moment(now),
        mark=worst,
        sentence=Sentence(
            plain=" ".join(filter(None, (_sentence(rows), waiting_words([one.work for one in governed]))))
        ),
        action=_action(rows, governed, step, now),
        notices=tuple(said),
        rows=tuple(rows[:AGENTS_MAX]),
        empty=() if rows else _first_steps(),
    )
