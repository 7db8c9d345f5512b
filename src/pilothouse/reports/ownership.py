# SPDX-License-Identifier: Apache-2.0
"""The Ownership page: who answers for what, who has accepted it, and when they look at it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import REVIEWS, Duty, RaciRow
from pilothouse.core.dates import calendar_day
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.signing import Asked, SignatureState
from pilothouse.core.verdict.verdict import AgentVerdict, Status
from pilothouse.reports.domain import asked_section, domain_head, shown_names
from pilothouse.reports.moments import moment, span_text
from pilothouse.reports.sections import Cell, Section, SectionsPage, columns, row
from pilothouse.reports.view_models import ActionOffer, Empty, mark_of, page_moment, shown_text

__all__ = ["OwnershipFacts", "build_ownership"]

_OPEN = "open question"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipFacts:
    """What the ledger knows about the people of a charter.

    Attributes:
        asked: Signatures that the framework asks for.
        evidence: Records of the agent; reviews held and duties reached among them.
        channels: Channels by identity.
        gone: Person ids who left, as the directory says.
        noticed: What the watch of people and calendar says now: a sentence, and whether it opens an incident.
    """

    asked: Sequence[Asked]
    evidence: Sequence[Evidence]
    channels: Mapping[str, Sequence[str]]
    gone: frozenset[str] = frozenset()
    noticed: Sequence[tuple[str, bool]] = ()


def build_ownership(
    charter: Charter, verdict: AgentVerdict, facts: OwnershipFacts, now: datetime, *, person: str = ""
) -> SectionsPage:
    """Build the page.

    Args:
        charter: The charter in force.
        verdict: Its verdict at the moment.
        facts: What the ledger knows.
        now: The moment, aware UTC.
        person: Person id of who looks at it, or empty.
    """
    head = domain_head(verdict, charter, "OWN")
    mine = [one for one in facts.asked if one.person == person and one.state is not SignatureState.SIGNED]
    sign = f"/agents/{quote(charter.agent, safe='')}/sign"
    action = head.action
    if mine:
        action = ActionOffer(
            label=f"Read and sign what waits for you: {len(mine)}",
            command="",
            href=sign,
            who=(shown_names(charter).get(person, person),),
        )
    return SectionsPage(
        name="ownership",
        title=f"{head.mark.spoken} · ownership of {charter.agent}",
        heading="Ownership",
        agent=charter.agent,
        as_of=page_moment(now),
        mark=head.mark,
        sentence=head.sentence,
        action=action,
        sections=(
            *_noticed(facts),
            _raci(charter, facts, sign),
            _people(charter, facts),
            _terms(charter, facts, now, sign),
            _escalation(charter),
            _calendar(charter, facts, now),
            asked_section(head, charter, charter.agent),
        ),
    )


def _listed(answer: object) -> tuple[str, ...]:
    return () if answer is None or is_open(answer) else tuple(str(one) for one in answer)  # type: ignore[attr-defined]


def _letters(row: RaciRow, person: str) -> str:
    found = ""
    if known(row.accountable) == person:
        found += "A"
    for letter, answer in (("R", row.responsible), ("C", row.consulted), ("I", row.informed)):
        if person in _listed(answer):
            found += letter
    return " ".join(found)


def _others(row: RaciRow, people: Mapping[str, str]) -> str:
    """Return whom a duty names beside people: a pool of reviewers, or nobody yet because it is an open question."""
    found = []
    for letter, answer in (("R", row.responsible), ("C", row.consulted), ("I", row.informed)):
        said = [_OPEN] if is_open(answer) else [one for one in _listed(answer) if one not in people]
        found += [f"{letter}: {shown_text(one)}" for one in said]
    return "; ".join(found)


def _noticed(facts: OwnershipFacts) -> Iterator[Section]:
    """What somebody was called for, first; nothing at all on an ordinary day."""
    if not facts.noticed:
        return
    rows = []
    for sentence, is_incident in facts.noticed:
        state = (
            Cell(mark=mark_of(Status.BREACHED, word="Incident"), text="Incidents", href="/incidents")
            if is_incident
            else Cell(mark=mark_of(Status.AT_RISK, word="Warning"))
        )
        rows.append(row(state, shown_text(sentence)))
    yield Section(
        anchor="noticed",
        title="Noticed",
        note="people and calendar, looked at every hour",
        columns=columns("State", "What"),
        rows=tuple(rows),
    )


def _raci(charter: Charter, facts: OwnershipFacts, sign: str) -> Section:
    people = shown_names(charter)
    asked = [one for one in facts.asked if one.requirement == "OWN-2"]
    others = {duty: _others(terms, people) for duty, terms in charter.raci.rows().items()}
    has_others = any(others.values())
    rows = []
    for duty, terms in charter.raci.rows().items():
        owner = known(terms.accountable)
        own = [one for one in asked if one.scope.duty == duty]
        unsigned = [charter.name_of(one.person) for one in own if one.state is not SignatureState.SIGNED]
        if owner is None:
            state = Cell(mark=mark_of(Status.BREACHED, word="Nobody"), small="A is an open question")
        elif unsigned or not own:
            state = Cell(
                mark=mark_of(Status.NO_EVIDENCE, word="Not accepted"),
                text="Sign",
                href=f"{sign}#raci",
                small=f"by {', '.join(unsigned)}" if unsigned else "",
            )
        else:
            state = Cell(mark=mark_of(Status.HOLDS, word="Accepted"))
        rows.append(
            row(
                state,
                _duty_words(duty),
                *(_letters(terms, person) for person in people),
                *((others[duty],) if has_others else ()),
                anchor=f"duty-{duty}",
            )
        )
    return Section(
        anchor="raci",
        title="Who answers for what",
        note="A is accountable, R does it, C is asked, I is told",
        columns=columns("State", "Duty", *people.values(), *(("Others",) if has_others else ())),
        rows=tuple(rows),
    )


def _duty_words(duty: Duty) -> str:
    return duty.replace("_", " ")


def _people(charter: Charter, facts: OwnershipFacts) -> Section:
    names = shown_names(charter)
    rows = []
    for person, entry in charter.people.items():
        identity = known(entry.identity)
        ways = facts.channels.get(identity or "", ())
        left = person in facts.gone
        if left:
            mark = mark_of(Status.BREACHED, word="Left")
        elif ways:
            mark = mark_of(Status.HOLDS, word="Reachable")
        else:
            mark = mark_of(Status.NO_EVIDENCE, word="No address")
        stands_in = known(entry.substitute) if entry.substitute else None
        rows.append(
            row(
                mark,
                Cell(text=names[person], small=person),
                shown_text(known(entry.unit) or _OPEN),
                Cell(text=", ".join(ways), command="" if ways else f"pilothouse contact set {person} URL"),
                names.get(stands_in, stands_in) if stands_in else "nobody",
                anchor=f"person-{person}",
            )
        )
    return Section(
        anchor="people",
        title="People",
        columns=columns("State", "Name", "Unit", "Reached by", "Substitute"),
        rows=tuple(rows),
        empty=Empty(missing="The charter names nobody.", asked_by="OWN-1", command="pilothouse check"),
    )


def _terms(charter: Charter, facts: OwnershipFacts, now: datetime, sign: str) -> Section:
    names = shown_names(charter)
    rows = []
    for requirement, title, person in (
        ("OWN-1", "Owner", known(charter.owner.person)),
        ("OWN-6", "Sponsor", known(charter.sponsor.person)),
    ):
        own = [one for one in facts.asked if one.requirement == requirement]
        stands = bool(own) and all(one.state is SignatureState.SIGNED for one in own)
        lapses = min((one.lapses_at for one in own if one.lapses_at), default=None)
        last = max((one.signed_at for one in own if one.signed_at), default=None)
        rows.append(
            row(
                mark_of(Status.HOLDS, word="Signed")
                if stands
                else mark_of(Status.NO_EVIDENCE, word="Not signed"),
                Cell(text=title, small=names.get(person, person) if person else _OPEN),
                moment(last, now) if last else "never",
                moment(lapses, now) if lapses else None,
                Cell(text="" if stands else "Read and sign", href="" if stands else sign),
            )
        )
    ends = known(charter.owner.term_ends)
    return Section(
        anchor="terms",
        title="Signed again",
        note=f"the owner's term ends on {calendar_day(ends) if ends else 'an open day'}",
        columns=columns("State", "Who", "Signed", "Again by", "Next"),
        rows=tuple(rows),
    )


def _escalation(charter: Charter) -> Section:
    names = shown_names(charter)
    levels = sorted(known(charter.escalation) or (), key=lambda one: one.level)
    hours = known(charter.operations.on_call)
    return Section(
        anchor="escalation",
        title="Who is called",
        note=f"on call: {str(hours).replace('_', ' ') if hours else _OPEN}",
        columns=columns("Level", "Who", "By", "Must answer within"),
        rows=tuple(
            row(
                str(one.level),
                ", ".join(names.get(who, who) for who in _listed(one.to)) or _OPEN,
                ", then ".join(_listed(one.via)) or _OPEN,
                _time(known(one.acknowledge)),
            )
            for one in levels
        ),
        empty=Empty(
            missing="The charter has no escalation path.", asked_by="OWN-5", command="pilothouse check"
        ),
    )


def _time(length: timedelta | None) -> str:
    return span_text(length) if length is not None else _OPEN


def _minutes(detail: str, names: Mapping[str, str]) -> str:
    """Minutes are kept under the id of who wrote them; a reader knows the name."""
    person, colon, text = detail.partition(": ")
    return shown_text(f"{names[person]}: {text}" if colon and person in names else detail)


def _calendar(charter: Charter, facts: OwnershipFacts, now: datetime) -> Section:
    rows, names = [], shown_names(charter)
    for name in REVIEWS:
        every = known(getattr(charter.reviews, name))
        held = [one for one in facts.evidence if one.kind == "review.held" and one.scope.part == name]
        last = max((one.window_to for one in held), default=None)
        due = last + every if last and every else None
        if last is None:
            mark = mark_of(Status.NO_EVIDENCE, word="Never held")
        elif due is not None and due < now:
            mark = mark_of(Status.BREACHED, word="Overdue")
        else:
            mark = mark_of(Status.HOLDS, word="Held")
        rows.append(
            row(
                mark,
                f"{name} review",
                f"every {_time(every)}" if every else _OPEN,
                moment(last, now) if last else "never",
                moment(due, now) if due else "as soon as it can be",
                _minutes(held[-1].detail, names) if held else "",
                anchor=f"review-{name}",
            )
        )
    return Section(
        anchor="calendar",
        title="Review calendar",
        columns=columns("State", "Review", "Cadence", "Last", "Next due", "Minutes"),
        rows=tuple(rows),
    )
