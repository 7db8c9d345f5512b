# SPDX-License-Identifier: Apache-2.0
"""What the verdict says of one domain, as head and table of the page about it (verdict → mark, sentence, section)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.verdict.verdict import AgentVerdict, RequirementVerdict, Status
from pilothouse.reports.next_step import make_sure
from pilothouse.reports.sections import Cell, Section, columns, row
from pilothouse.reports.view_models import ActionOffer, Sentence, StatusMark, mark_of, shown_text
from pilothouse.reports.words import plural

__all__ = ["DomainHead", "asked_section", "domain_head", "requirement_cell", "shown_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainHead:
    """The head of a page about one domain.

    Attributes:
        mark: Its status.
        sentence: What decides it.
        action: What is asked, or None when everything holds.
        asked: Its requirements, worst first.
    """

    mark: StatusMark
    sentence: Sentence
    action: ActionOffer | None
    asked: tuple[RequirementVerdict, ...]


def domain_head(verdict: AgentVerdict, charter: Charter, domain: str) -> DomainHead:
    """Return the head of a page about one domain; later gates' requirements are left out.

    Args:
        verdict: The verdict.
        charter: The charter it judges.
        domain: For example `OWN`.
    """
    order = list(Status)
    asked = tuple(
        sorted(
            (one for one in verdict.requirements if one.domain == domain and one.gates),
            key=lambda one: order.index(one.status),
        )
    )
    if not asked:
        plain = Sentence(plain="The charter's framework asks nothing of this domain.")
        return DomainHead(mark=mark_of(Status.NO_EVIDENCE), sentence=plain, action=None, asked=())
    worst = asked[0]
    holds = sum(one.status is Status.HOLDS for one in asked)
    page = f"/agents/{quote(verdict.agent, safe='')}/readiness#{worst.requirement}"
    if worst.status is Status.HOLDS:
        sentence = Sentence(plain=f"All {plural(len(asked), 'requirement')} hold.")
        return DomainHead(mark=mark_of(worst.status), sentence=sentence, action=None, asked=asked)
    return DomainHead(
        mark=mark_of(worst.status, worst.reason),
        sentence=Sentence(
            plain=shown_text(
                f"{holds} of {plural(len(asked), 'requirement')} hold; first: {worst.deciding.sentence}"
            ),
            href=page,
        ),
        action=ActionOffer(
            label=shown_text(make_sure(worst.requirement, worst.statement)),
            command=worst.deciding.remedy,
            href=page,
            who=_names(charter, worst.deciding.who),
        ),
        asked=asked,
    )


def asked_section(head: DomainHead, charter: Charter, agent: str) -> Section:
    """Return the table of what the verdict asks of a domain."""
    page = f"/agents/{quote(agent, safe='')}/readiness"
    rows = tuple(
        row(
            mark_of(one.status, one.reason),
            requirement_cell(one, page),
            Cell(
                text=shown_text(one.deciding.sentence),
                command="" if one.status is Status.HOLDS else one.deciding.remedy,
            ),
            ", ".join(_names(charter, one.deciding.who)),
            anchor=one.requirement,
        )
        for one in head.asked
    )
    return Section(
        anchor="asked",
        title="What the framework asks",
        note="worst first",
        columns=columns("State", "Requirement", "Why", "Who"),
        rows=rows,
    )


def requirement_cell(one: RequirementVerdict, page: str) -> Cell:
    """Return a requirement as every table names it: what must be true, and its id small below.

    Args:
        one: The requirement.
        page: Address of the Readiness page.
    """
    return Cell(text=shown_text(one.statement), href=f"{page}#{one.requirement}", small=one.requirement)


def shown_names(charter: Charter) -> dict[str, str]:
    """Return the names of a charter's people by id, as a table shows them: hidden characters visible, unbroken."""
    return {
        person: shown_text(known(entry.name) or person).replace(" ", "\u00a0")
        for person, entry in charter.people.items()
    }


def _names(charter: Charter, people: tuple[str, ...]) -> tuple[str, ...]:
    names = shown_names(charter)
    return tuple(names.get(person, person) for person in people)
