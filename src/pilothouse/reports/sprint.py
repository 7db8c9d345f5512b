# SPDX-License-Identifier: Apache-2.0
"""The 30-day plan of an agent: four weeks with dates, each line with its proof or with what is missing (facts → page)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from pilothouse.core.charter.answers import known, open_paths
from pilothouse.core.charter.charter import Charter
from pilothouse.core.dates import calendar_day, day
from pilothouse.core.verdict.sentence import person_names
from pilothouse.core.verdict.signing import Asked, SignatureState
from pilothouse.core.verdict.value import Money, ThreeNumbers
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, Status
from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import (
    ActionOffer,
    Sentence,
    StatusMark,
    mark_of,
    page_moment,
    shown_text,
)
from pilothouse.reports.words import plural

__all__ = [
    "SCORING_DAYS_MIN",
    "SPRINT_DAYS",
    "SprintFacts",
    "SprintPage",
    "build_sprint",
]

SCORING_DAYS_MIN = 5
"""Days of scoring that week 2 asks for: every working day of a week."""

SPRINT_DAYS = 30
"""Days from the first to the decision."""

DOUBLED = 2.0
"""Margin on estimates that week 3 asks for."""

_WEEK = timedelta(days=7)
_TITLES = ("Audit", "Baseline", "Integrations", "Commitment")
_STANDING = frozenset({Status.HOLDS, Status.AT_RISK})


@dataclass(frozen=True, slots=True, kw_only=True)
class SprintFacts:
    """What a sprint is computed from.

    Attributes:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        signatures: What people have to sign, with its state.
        numbers: The three numbers.
        start: First day, UTC.
        scored_from: First day of which scoring was looked for: the start, or `SPRINT_DAYS` ago.
        verdict_kept_on: Day of the newest verdict on record, or None.
        scored_on: Days since then on which outcomes or scores came in.
        sheet_written_on: Day on which the executive sheet was last written, or None.
    """

    charter: Charter
    verdict: AgentVerdict
    signatures: Sequence[Asked]
    numbers: ThreeNumbers
    start: date
    scored_from: date
    verdict_kept_on: date | None
    scored_on: frozenset[date]
    sheet_written_on: date | None


class SprintPage(SectionsPage):
    """Four weeks from a pilot to a decision, a section each.

    Attributes:
        start: First day.
    """

    template: ClassVar[str] = "sprint"

    start: date


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    what: str
    is_done: bool
    proof: str
    command: str
    who: tuple[str, ...] = ()


def build_sprint(facts: SprintFacts) -> SprintPage:
    """Return the plan with its dates and proofs."""
    verdict, today = facts.verdict, facts.verdict.as_of.date()
    weeks = [
        (facts.start + number * _WEEK, tuple(needs(facts)))
        for number, needs in enumerate((_audit, _baseline, _integrations, _commitment))
    ]
    needs = [(need, _is_over(first, today)) for first, asked in weeks for need in asked]
    left = [need for need, _ in needs if not need.is_done]
    overdue = sum(is_late and not need.is_done for need, is_late in needs)
    now_in = min(max((today - facts.start).days // 7 + 1, 1), len(weeks))
    decide_by = facts.start + timedelta(days=SPRINT_DAYS - 1)
    day = (today - facts.start).days + 1
    place = f"Day {day} of {SPRINT_DAYS}, week {now_in}" if day > 0 else f"Begins in {plural(1 - day, 'day')}"
    sentence = f"{place}: {len(needs) - len(left)} of {plural(len(needs), 'proof')} "
    sentence += "are there" if not overdue else f"are there, {overdue} overdue"
    names = person_names(facts.charter)
    return SprintPage(
        name="sprint",
        title=f"30-day plan of {verdict.agent}",
        heading="30-day plan",
        agent=verdict.agent,
        as_of=page_moment(verdict.as_of),
        mark=_mark(is_done=not left, is_late=bool(overdue)),
        sentence=Sentence(plain=f"{sentence}; go or no-go is due on {calendar_day(decide_by)}."),
        action=ActionOffer(label=left[0].what, command=left[0].command, who=_named(left[0], names))
        if left
        else None,
        start=facts.start,
        sections=tuple(
            _week(number, first, asked, names, is_over=_is_over(first, today))
            for number, (first, asked) in enumerate(weeks, start=1)
        ),
    )


def _is_over(first: date, today: date) -> bool:
    return today >= first + _WEEK


def _week(
    number: int, first: date, asked: Sequence[_Need], names: Mapping[str, str], *, is_over: bool
) -> Section:
    return Section(
        anchor=f"week-{number}",
        title=f"Week {number}: {_TITLES[number - 1]}",
        note=f"{calendar_day(first)} to {calendar_day(first + timedelta(days=6))}",
        columns=columns("State", "What must be there", "Proof, or what is missing", "Next"),
        rows=tuple(
            row(
                _mark(is_done=need.is_done, is_late=is_over),
                need.what,
                shown_text(need.proof),
                None if need.is_done else Cell(command=need.command, small=", ".join(_named(need, names))),
            )
            for need in asked
        ),
    )


def _named(need: _Need, names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(person, person) for person in need.who)


def _mark(*, is_done: bool, is_late: bool) -> StatusMark:
    made = mark_of(Status.HOLDS if is_done else Status.AT_RISK if is_late else Status.NO_EVIDENCE)
    return made.model_copy(update={"word": "Done" if is_done else "Overdue" if is_late else "Open"})


def _audit(facts: SprintFacts) -> Iterator[_Need]:
    """Week 1: outcome metrics, owner, what evaluation exists."""
    charter = facts.charter
    outcomes = known(charter.outcomes)
    questions = ("outcomes",) if outcomes is None else open_paths(outcomes, "outcomes")
    yield _Need(
        what="Outcome metrics are named",
        is_done=bool(outcomes) and not questions,
        proof=f"{questions[0]} is an open question"
        if questions
        else ", ".join(one.name for one in outcomes or ()) or "the charter names no outcome",
        command="pilothouse check",
        who=_people(charter.raci.outcome_reporting.accountable),
    )
    owner = known(charter.owner.person)
    yield _Need(
        what="An owner is named",
        is_done=owner is not None,
        proof="`owner.person` is an open question" if owner is None else person_names(charter)[owner],
        command="pilothouse check",
    )
    yield _signature(facts, "OWN-1", "The owner has accepted")
    kept = facts.verdict_kept_on
    yield _Need(
        what="What evaluation exists is known: a first verdict",
        is_done=kept is not None,
        proof="no verdict is on record"
        if kept is None
        else f"a verdict of {calendar_day(kept)} is on record",
        command=f"pilothouse verdict {charter.agent}",
    )


def _baseline(facts: SprintFacts) -> Iterator[_Need]:
    """Week 2: labelled cases, a baseline, daily scoring."""
    yield _requirement(facts, "EVAL-1", "Labelled cases are there")
    yield _requirement(facts, "EVAL-5", "Their results are reviewed and baselined")
    days = sorted(facts.scored_on)
    yield _Need(
        what=f"Scoring ran on {SCORING_DAYS_MIN} days",
        is_done=len(days) >= SCORING_DAYS_MIN,
        proof=f"on {plural(len(days), 'day')} since {calendar_day(facts.scored_from)}"
        + (f", last on {calendar_day(days[-1])}" if days else ""),
        command="pilothouse up",
    )


def _integrations(facts: SprintFacts) -> Iterator[_Need]:
    """Week 3: every system listed, the simplest first, estimates doubled, one certificate."""
    charter = facts.charter
    yield _requirement(facts, "INT-1", "Every system is listed")
    yield _signature(facts, "DATA-5", "The order in which they join is signed, with the phases")
    margin = known(charter.business_case.margin_of_estimates)
    yield _Need(
        what="Effort is estimated and doubled",
        is_done=margin is not None and float(margin) >= DOUBLED,
        proof="`business_case.margin_of_estimates` is an open question"
        if margin is None
        else f"estimates are multiplied by {float(margin):g}",
        command="pilothouse check",
    )
    certificates = [item for item in _items(facts, "INT-2") if item.status in _STANDING]
    first = next(iter(charter.integrations_of("1") or ()), "NAME")
    yield _Need(
        what="One integration has a certificate",
        is_done=bool(certificates),
        proof=certificates[0].sentence if certificates else "none has one",
        command=f"pilothouse integration verify {first}",
        who=_people(charter.raci.integration_maintenance.accountable),
    )


def _commitment(facts: SprintFacts) -> Iterator[_Need]:
    """Week 4: the three numbers, go or no-go, resources."""
    numbers: Mapping[str, Money] = {
        "staying a pilot": facts.numbers.staying,
        "investment": facts.numbers.investment,
        "return": facts.numbers.back,
    }
    unknown = [f"{name}: {', '.join(money.unknown)}" for name, money in numbers.items() if money.unknown]
    yield _Need(
        what="The three numbers are known",
        is_done=not unknown,
        proof=f"unknown is {'; '.join(unknown)}"
        if unknown
        else f"`pilothouse value show {facts.charter.agent}`",
        command=f"pilothouse value show {facts.charter.agent}",
    )
    written = facts.sheet_written_on
    yield _Need(
        what="The executive sheet is written",
        is_done=written is not None and written >= facts.start,
        proof="nobody has written it since the first day"
        if written is None or written < facts.start
        else f"written on {calendar_day(written)}; its digest is on record",
        command=f"pilothouse report executive {facts.charter.agent} --out sheet.pdf",
    )
    yield _signature(facts, "OWN-6", "The sponsor has signed the review")
    yield _signature(facts, "OWN-10", "Resources are named and approved")


def _people(person: object) -> tuple[str, ...]:
    return (person,) if isinstance(person, str) and person != "?" else ()


def _items(facts: SprintFacts, requirement: str) -> tuple[ItemVerdict, ...]:
    return next((one.items for one in facts.verdict.requirements if one.requirement == requirement), ())


def _requirement(facts: SprintFacts, name: str, what: str) -> _Need:
    found = next(one for one in facts.verdict.requirements if one.requirement == name)
    return _Need(
        what=f"{what} ({name})",
        is_done=found.status in _STANDING,
        proof=found.deciding.sentence,
        command=found.deciding.remedy,
        who=found.deciding.who,
    )


def _signature(facts: SprintFacts, name: str, what: str) -> _Need:
    asked = [one for one in facts.signatures if one.requirement == name]
    missing = [one for one in asked if one.state is not SignatureState.SIGNED]
    names = person_names(facts.charter)
    if asked and not missing:
        last = max(
            (one for one in asked if one.signed_at), key=lambda one: one.signed_at or facts.verdict.as_of
        )
        when = f" on {day(last.signed_at)}" if last.signed_at else ""
        proof = f"signed by {names.get(last.signer or '', last.signer or last.person)}{when}"
    else:
        people = ", ".join(dict.fromkeys(names.get(one.person, one.person) for one in missing))
        proof = f"not signed by {people}" if people else "nobody is named who could sign"
    return _Need(
        what=f"{what} ({name})",
        is_done=bool(asked) and not missing,
        proof=proof,
        command=f"pilothouse evidence attest {name}",
        who=tuple(dict.fromkeys(one.person for one in missing)),
    )
