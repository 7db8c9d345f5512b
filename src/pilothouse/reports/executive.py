# SPDX-License-Identifier: Apache-2.0
"""The executive page: one sheet that says go or not, what that rests on, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day, day, minute
from pilothouse.core.verdict.framework import requirement_named
from pilothouse.core.verdict.numbers import percentage, short_digest, significant
from pilothouse.core.verdict.remediation import Plan, Step
from pilothouse.core.verdict.schedule import RENEWAL_DAYS
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.signing import Asked, SignatureState
from pilothouse.core.verdict.stall import Stall, StallLevel
from pilothouse.core.verdict.verdict import AgentVerdict, Reason, RequirementVerdict, Status
from pilothouse.reports.context import Benchmarks, benchmarks
from pilothouse.reports.moments import age_text
from pilothouse.reports.requirement_rows import cases_of
from pilothouse.reports.value import NumberShown, OutcomeShown, ValuePage
from pilothouse.reports.view_models import (
    Frozen,
    Page,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    quantity_of,
    shown_text,
)
from pilothouse.reports.words import phase_words, plural

__all__ = [
    "DomainShown",
    "ExecutivePage",
    "Facts",
    "SectorShown",
    "StepShown",
    "build_executive",
    "stall_words",
]

STEPS_SHOWN = 5
"""What would change the verdict: a sheet has room for five."""

UNKNOWN_SHOWN = 6
"""What is not known; the Readiness page lists all."""

CONDITIONS_SHOWN = 8
"""Lines of conditions; what was waived together is one line, and what does not fit is counted."""

SIGNATURES_SHOWN = 10
"""Lines of signatures, what is not signed first; the Ownership page and `pilothouse evidence list` have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the sheet is made of.

    Attributes:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        plan: What is to be done.
        value: The Value page at the same moment.
        signatures: What people have to sign, with its state.
        stall: How long nothing came nearer, or None without history.
    """

    charter: Charter
    verdict: AgentVerdict
    plan: Plan
    value: ValuePage
    signatures: Sequence[Asked]
    stall: Stall | None


class DomainShown(Frozen):
    """One domain with the requirement that decides it."""

    title: str
    mark: StatusMark
    requirement: str
    statement: str
    measured: str


class StepShown(Frozen):
    """One thing that would change the verdict."""

    command: str
    why: str
    who: str
    effort: str


class SectorShown(Frozen):
    """One line of the survey."""

    name: str
    production: str
    failure: str
    blocker: str


class ExecutivePage(Page):
    """One sheet for whoever decides.

    Attributes:
        word: `GO`, `GO WITH CONDITIONS`, `NO-GO` or `NOT ENOUGH EVIDENCE`.
        phase: The phase the agent is in.
        lapse: When the verdict lapses by itself, in words.
        conditions: What is at risk or waived, with its end; empty without conditions.
        domains: The five domains with their worst requirement.
        numbers: Cost of staying a pilot, investment, return.
        ratio: Return on the investment in words, or empty.
        seal: The seal over the outcomes, in words.
        outcomes: Commitment against measurement.
        steps: What would change the verdict, most urgent first.
        gate_date: When the next gate can be reached, in words, or empty.
        unknown: What is not known.
        unknown_more: How many more there are, in words, or empty.
        people: Owner and sponsor.
        signatures: Who has signed what, and what is not signed.
        budget: Lines of the production budget, in words.
        stall: How long nothing came nearer, in words, or empty.
        sector: The survey, line by line.
        sector_note: What the survey is, and where its texts contradict each other.
        foot: Agent, version, charter and how to check the sheet.
    """

    word: str
    phase: str
    lapse: str
    conditions: tuple[str, ...]
    domains: tuple[DomainShown, ...]
    numbers: tuple[NumberShown, ...]
    ratio: str
    seal: str
    outcomes: tuple[OutcomeShown, ...]
    steps: tuple[StepShown, ...]
    gate_date: str
    unknown: tuple[str, ...]
    unknown_more: str
    people: tuple[str, ...]
    signatures: tuple[str, ...]
    budget: tuple[str, ...]
    stall: str
    sector: tuple[SectorShown, ...]
    sector_note: tuple[str, ...]
    foot: tuple[str, ...]


def build_executive(facts: Facts) -> ExecutivePage:
    """Return the executive page of an agent; equal facts give an equal page, down to its bytes.

    Args:
        facts: What it is made of; its moment is that of the verdict.
    """
    charter, verdict = facts.charter, facts.verdict
    names = person_names(charter)
    currency = known(charter.currency) or "USD"
    mark = mark_of(verdict.status, verdict.reason)
    unknown = _unknown(verdict)
    found = benchmarks()
    return ExecutivePage(
        name="executive",
        title=f"{verdict.word} · {charter.agent}",
        heading=shown_text(known(charter.title) or charter.agent),
        agent=charter.agent,
        as_of=page_moment(verdict.as_of),
        mark=mark,
        sentence=Sentence(plain=shown_text(verdict.sentence)),
        notices=tuple(shown_text(note) for note in verdict.notes),
        word=verdict.word,
        phase=phase_words(verdict.phase),
        lapse=_lapse(verdict),
        conditions=tuple(_conditions(verdict, names)),
        domains=tuple(_domains(verdict, currency)),
        numbers=facts.value.numbers,
        ratio=facts.value.ratio,
        seal=facts.value.seal,
        outcomes=facts.value.outcomes,
        steps=tuple(_step(step, names, currency) for step in facts.plan.steps[:STEPS_SHOWN]),
        gate_date=_gate_date(facts.plan, verdict.as_of),
        unknown=unknown[:UNKNOWN_SHOWN],
        unknown_more=f"and {len(unknown) - UNKNOWN_SHOWN} more" if len(unknown) > UNKNOWN_SHOWN else "",
        people=tuple(_people(charter, names)),
        signatures=tuple(_signatures(facts.signatures, names)),
        budget=tuple(_budget(charter, currency)),
        stall=stall_words(facts.stall, names),
        sector=tuple(
            SectorShown(name=one.name, production=one.production, failure=one.failure, blocker=one.blocker)
            for one in found.sector
        ),
        sector_note=tuple(_sector_note(found)),
        foot=(
            f"Agent {charter.agent}, version {short_digest(verdict.version)}, charter {short_digest(verdict.charter_digest)}",
            f"Evidence up to {minute(verdict.as_of)}",
            f"Checked by: pilothouse report auditor FILE.zip {charter.agent}, then pilothouse-verify FILE.zip",
        ),
    )


def stall_words(stall: Stall | None, names: dict[str, str]) -> str:
    """Return in one sentence how long no gate has come nearer; empty while that is no news.

    Args:
        stall: What was found, or None.
        names: Names of people by id.
    """
    if stall is None or stall.level is StallLevel.MOVING or stall.blocked_since is None:
        return ""
    who = ", ".join(names.get(person, person) for person in stall.who) or "nobody yet"
    statement = requirement_named(stall.requirement).statement
    text = (
        f"No gate has come nearer for {stall.days} days; since {day(stall.blocked_since)} it waits for {who}: "
        f"{statement[:1].lower()}{statement[1:]} ({stall.requirement})"
    )
    if stall.level is StallLevel.QUESTION:
        return f"{text}: half a year, so go on or stop is to be decided."
    return f"{text}."


def _lapse(verdict: AgentVerdict) -> str:
    if verdict.next_lapse_at is None:
        return "It rests on nothing that holds, so nothing lapses."
    return f"Its first evidence lapses on {day(verdict.next_lapse_at)}."


def _gates(verdict: AgentVerdict) -> list[RequirementVerdict]:
    """Return the requirements of the next gate that do not simply hold, worst first."""
    wanted = verdict.next_gate or verdict.gates[0].gate
    gate = next(one for one in verdict.gates if one.gate == wanted)
    by_id = {one.requirement: one for one in verdict.requirements}
    return [by_id[name] for name in (*gate.breached, *gate.no_evidence, *gate.at_risk)]


def _conditions(verdict: AgentVerdict, names: dict[str, str]) -> list[str]:
    """Return what the word rests on, none left out unsaid: a sponsor waives in one go what a sheet has no lines for."""
    together: dict[str, list[str]] = {}
    at_risk = []
    for one in _gates(verdict):
        named = f"{one.statement} ({one.requirement})"
        if one.waiver is not None:
            signer = names.get(one.waiver.signer, one.waiver.signer)
            terms = (
                f"by {signer} until {day(one.waiver.until)}, '{shown_text(one.waiver.reason.rstrip('.'))}'"
            )
            together.setdefault(terms, []).append(named)
        elif one.status is Status.AT_RISK:
            counts = f", counts until {day(one.deciding.lapses_at)}" if one.deciding.lapses_at else ""
            at_risk.append(f"At risk{counts}: {named}")
    waived = [f"{len(each)} waived {terms}: {'; '.join(each)}" for terms, each in together.items()]
    return _fitting([*waived, *at_risk], CONDITIONS_SHOWN)


def _fitting(lines: list[str], room: int) -> list[str]:
    """Return as many lines as there is room for, and how many more there are."""
    return lines if len(lines) <= room else [*lines[:room], f"and {len(lines) - room} more"]


def _domains(verdict: AgentVerdict, currency: str) -> list[DomainShown]:
    by_id = {one.requirement: one for one in verdict.requirements}
    shown = []
    for domain in verdict.domains:
        worst = by_id[domain.worst]
        item = worst.deciding
        quantity = quantity_of(item, currency)
        parts = []
        if quantity is not None:
            parts.append(f"{quantity.shown} {quantity.shown_interval}".strip())
        parts += [cases_of(item), "" if item.age_days is None else age_text(item.age_days)]
        shown.append(
            DomainShown(
                title=domain.title,
                mark=mark_of(domain.status, domain.reason),
                requirement=domain.worst,
                statement=worst.statement,
                measured=", ".join(filter(None, parts)) or "nothing measured",
            )
        )
    return shown


def _step(step: Step, names: dict[str, str], currency: str) -> StepShown:
    statement = requirement_named(step.items[0].split(" ", 1)[0]).statement
    parts = [f"{max(1, round(step.work_days))} d work"] if step.work_days > RENEWAL_DAYS else []
    if 0 < step.work_days <= RENEWAL_DAYS:
        parts = ["1 h work"]
    if step.wait_days >= 1:
        parts.append(f"{step.wait_days:.0f} d wait")
    if step.cost is not None and step.work_days:
        parts.append(f"{currency} {significant(step.cost[0])}–{significant(step.cost[1])}")
    return StepShown(
        command=step.command,
        why=f"{statement}: {', '.join(step.items[:3])}"
        + (f" and {len(step.items) - 3} more" if len(step.items) > 3 else ""),
        who=", ".join(names.get(person, person) for person in step.who),
        effort=" · ".join(parts),
    )


def _gate_date(plan: Plan, now: datetime) -> str:
    if plan.days is None:
        return ""
    soon, late = (day(now + timedelta(days=days)) for days in plan.days)
    return (
        f"Gate {plan.gate} can be reached between {soon} and {late}; the work is guessed, from half to twice."
    )


def _unknown(verdict: AgentVerdict) -> tuple[str, ...]:
    words = {Reason.MISSING: "never measured", Reason.STALE: "lapsed", Reason.INSUFFICIENT: "too little"}
    found = [one for one in _gates(verdict) if one.status is Status.NO_EVIDENCE]
    lines = [
        f"{one.statement}: {words.get(one.reason or Reason.MISSING, 'never measured')} ({one.requirement})"
        for one in found
        if one.waiver is None
    ]
    waived = len(found) - len(lines)
    return (
        *lines,
        *((f"What is waived above without evidence: {plural(waived, 'requirement')}",) if waived else ()),
    )


def _people(charter: Charter, names: dict[str, str]) -> list[str]:
    owner, sponsor = known(charter.owner.person), known(charter.sponsor.person)
    return [
        f"Owner: {names.get(owner, owner) if owner else 'nobody yet'}",
        f"Sponsor: {names.get(sponsor, sponsor) if sponsor else 'nobody yet'}",
    ]


def _signatures(asked: Sequence[Asked], names: dict[str, str]) -> list[str]:
    """Return who has not signed what, then who has: one line for what one person signed on one day."""
    missing: dict[str, list[str]] = {}
    signed: dict[str, list[str]] = {}
    for one in asked:
        name = names.get(one.person, one.person)
        if one.state is SignatureState.SIGNED and one.signed_at is not None:
            if one.signer not in {None, one.person}:
                name = f"{names.get(one.signer or '', one.signer)} for {name}"
            until = f" until {day(one.lapses_at)}" if one.lapses_at else ""
            signed.setdefault(f"Signed by {name} on {day(one.signed_at)}{until}", []).append(one.requirement)
        else:
            missing.setdefault(f"Not signed by {name}", []).append(one.requirement)
    lines = [
        f"{who}: {', '.join(dict.fromkeys(items))}"
        for group in (missing, signed)
        for who, items in group.items()
    ]
    return _fitting(lines, SIGNATURES_SHOWN)


def _budget(charter: Charter, currency: str) -> list[str]:
    production = charter.budgets.production
    total, lines = known(production.amount), known(production.lines)
    if total is None or not lines:
        return []
    amounts = {name: known(amount) for name, amount in lines.items()}
    return [
        f"{name}: open question"
        if amount is None
        else f"{name}: {currency} {amount:,.0f}"
        + (f" ({percentage(amount / total, decimals=0)})" if total else "")  # of nothing there is no share
        for name, amount in amounts.items()
    ]


def _sector_note(found: Benchmarks) -> list[str]:
    return [
        f"{found.note}: {found.frame}; dated {calendar_day(found.dated)}, read {calendar_day(found.read_on)}. No number above uses it.",
        *(one.text for one in found.disagreement),
    ]
