# SPDX-License-Identifier: Apache-2.0
"""The weekly note to the owner in three sentences: status and change, what is asked, the next lapse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.dates import day
from pilothouse.core.verdict.framework import requirement_named
from pilothouse.core.verdict.remediation import Plan
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.view_models import Page, Sentence, mark_of, page_moment, shown_text
from pilothouse.reports.words import phase_words, plural

__all__ = ["Week", "WeeklyNote", "build_weekly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What the note is made of.

    Attributes:
        charter: The charter in force.
        verdict: Its verdict now.
        before: The verdict a week before its end, or None.
        plan: What is to be done.
        until: The end of the week that the note is about, which may be sent later.
        moves: What verdicts made necessary and still stands, in words.
        stall: How long nothing came nearer, in words, or empty.
        address: Address of the running server, or empty.
        corrections: What people's corrections achieved, in words, or empty.
    """

    charter: Charter
    verdict: AgentVerdict
    before: AgentVerdict | None
    plan: Plan
    until: datetime
    moves: tuple[str, ...] = ()
    stall: str = ""
    address: str = ""
    corrections: str = ""


class WeeklyNote(Page):
    """Three sentences, each with the page that proves it.

    Attributes:
        status: How it stands and what changed, also by what people corrected.
        asked: What is asked of the owner, or that nothing is.
        lapse: What lapses next.
        to: Person id of the owner, or empty.
    """

    status: Sentence
    asked: Sentence
    lapse: Sentence
    to: str

    @property
    def text(self) -> str:
        """The note as plain text: each sentence on a line with its proof."""
        lines = (self.status, self.asked, self.lapse)
        return "\n".join(f"{one.plain}{f' {one.href}' if one.href else ''}" for one in lines)


def build_weekly(week: Week, now: datetime) -> WeeklyNote:
    """Return the note."""
    verdict, agent = week.verdict, week.charter.agent
    owner = known(week.charter.owner.person) or ""
    base = f"{week.address}/agents/{agent}" if week.address else ""
    status = _sentence(_status(week))
    return WeeklyNote(
        name="weekly",
        title=f"{verdict.word} · {agent}, week to {day(week.until)}",
        heading="Weekly note",
        agent=agent,
        as_of=page_moment(now),
        mark=mark_of(verdict.status, verdict.reason),
        sentence=Sentence(plain=status),
        status=Sentence(plain=status, href=base),
        asked=Sentence(plain=_sentence(_asked(week, owner)), href=f"{base}/readiness" if base else ""),
        lapse=Sentence(plain=_sentence(_lapse(verdict)), href=f"{base}/rollout" if base else ""),
        to=owner,
    )


def _sentence(text: str) -> str:
    """Return text as one sentence: what stands between full stops is joined by semicolons."""
    joined = re.sub(r"[.!?]+\s+", "; ", shown_text(text).strip())
    return joined.rstrip(".!?; ") + "."


def _status(week: Week) -> str:
    now, before = week.verdict, week.before
    head = f"{week.charter.agent} is at {now.word} in {phase_words(now.phase).lower()}"
    is_late = now.as_of.date() > week.until.date()
    then = f"on {day(week.until - timedelta(days=7))}" if is_late else "a week ago"
    if before is None:
        change = f"with no verdict {then} to compare"
    elif (before.word, before.phase) != (now.word, now.phase):
        change = f"after {before.word} in {phase_words(before.phase).lower()} {then}"
    else:
        change = f"as {then}{_counted(before, now)}"
    parts = [f"{head}, {change}, decided by: {_named(now.deciding)}"]
    return "; ".join([*parts, *week.moves[:2], *(said for said in (week.stall, week.corrections) if said)])


def _counted(before: AgentVerdict, now: AgentVerdict) -> str:
    held = {one.requirement for one in before.requirements if one.status in {Status.HOLDS, Status.AT_RISK}}
    holds = {one.requirement for one in now.requirements if one.status in {Status.HOLDS, Status.AT_RISK}}
    gained, lost = len(holds - held), len(held - holds)
    parts = [f"{gained} more hold"] if gained else []
    parts += [f"{lost} hold no more"] if lost else []
    return f" ({', '.join(parts)})" if parts else ""


def _named(requirement: str) -> str:
    """Return a requirement with its words: an owner does not know ids by heart."""
    statement = requirement_named(requirement).statement
    return f"{statement[:1].lower()}{statement[1:].rstrip('.')} ({requirement})"


def _asked(week: Week, owner: str) -> str:
    mine = [step for step in week.plan.steps if owner and owner in step.who and step.for_next_gate]
    if not mine:
        return "Nothing needs you this week"
    rest = f", and {plural(len(mine) - 1, 'further step')}" if len(mine) > 1 else ""
    requirement = mine[0].items[0].split(" ", 1)[0]
    return f"You are asked to make sure: {_named(requirement)}, by `{mine[0].command}`{rest}"


def _lapse(verdict: AgentVerdict) -> str:
    standing = [
        (item.lapses_at, one.requirement, item.remedy)
        for one in verdict.requirements
        if set(one.gates) & {*NUMBERED_PHASES}
        for item in one.items
        if item.lapses_at is not None and item.status in {Status.HOLDS, Status.AT_RISK}
    ]
    if not standing:
        return "Nothing that holds will lapse, because nothing holds by dated evidence yet"
    lapses_at, requirement, remedy = min(standing)
    return f"Next to lapse, on {day(lapses_at)}: {_named(requirement)}, renewed by `{remedy}`"
