# SPDX-License-Identifier: Apache-2.0
"""Authorization: duties in the charter give roles, roles give powers, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.people import Person

__all__ = ["POWERS", "Action", "Role", "incident_handlers", "may_act", "people_who_may", "roles_of"]


class Role(StrEnum):
    """A role that a person has for an agent."""

    OWNER = "owner"
    APPROVER = "approver"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Action(StrEnum):
    """The action that a page or command declares."""

    READ = "read"
    REVIEW = "review"
    SIGN = "sign"
    APPROVE = "approve"
    OPERATE = "operate"
    HANDLE = "handle"
    ASSIGN = "assign"
    CURATE = "curate"
    ERASE = "erase"


POWERS: Mapping[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action),
    Role.APPROVER: frozenset(
        {Action.READ, Action.REVIEW, Action.SIGN, Action.APPROVE, Action.ASSIGN, Action.CURATE}
    ),
    Role.REVIEWER: frozenset({Action.READ, Action.REVIEW}),
    Role.OPERATOR: frozenset({Action.READ, Action.SIGN, Action.OPERATE}),
    Role.AUDITOR: frozenset({Action.READ}),
}
"""What each role may do; who audits only reads."""

_LIMITS: Mapping[str, frozenset[Role]] = {
    "owner": frozenset(Role),
    "approver": frozenset({Role.APPROVER, Role.REVIEWER}),
    "executive": frozenset({Role.APPROVER}),
    "reviewer": frozenset({Role.REVIEWER}),
    "operator": frozenset({Role.OPERATOR}),
    "auditor": frozenset({Role.AUDITOR}),
}
"""Roles that are left to a person whose charter entry names one."""


def _duties(charter: Charter, person: str) -> set[Role]:
    rows = charter.raci.rows()
    review = charter.raci.feedback_review
    pool = known(charter.reviewers.pool)
    found: set[Role] = set()
    if person == charter.owner.person:
        found.add(Role.OWNER)
    if person == charter.sponsor.person or any(row.accountable == person for row in rows.values()):
        found.add(Role.APPROVER)
    if person in (known(charter.operations.team) or ()) or any(
        person in (known(row.responsible) or ()) for duty, row in rows.items() if duty != "feedback_review"
    ):
        found.add(Role.OPERATOR)
    if person == review.accountable or person in (known(review.responsible) or ()) or person == pool:
        found.add(Role.REVIEWER)
    return found


def roles_of(charter: Charter, person: str) -> frozenset[Role]:
    """Return the roles of a person, from their duties and from people they substitute.

    The charter's `role` of a person limits them; `reviewer` and `auditor` also make one.

    Args:
        charter: The charter in force.
        person: Person id; an unknown one has no role.

    Returns:
        Roles, empty for a person who has no duty.
    """
    entry = charter.people.get(person)
    if entry is None:
        return frozenset()
    found = _duties(charter, person)
    for other, terms in charter.people.items():
        if known(terms.substitute) == person and other != person:
            found |= _limited(_duties(charter, other), terms)
    said = known(entry.role)
    if said in {"reviewer", "auditor"}:
        found.add(Role(said))
    return _limited(found, entry)


def _limited(roles: set[Role], entry: Person) -> frozenset[Role]:
    said = known(entry.role)
    return frozenset(roles) if said is None else frozenset(roles) & _LIMITS[said]


def may_act(charter: Charter, person: str, action: Action) -> bool:
    """Return whether a person of a charter may do something.

    Args:
        charter: The charter in force.
        person: Person id.
        action: What is asked for; everybody the charter names may read, and whoever is called may handle incidents.
    """
    if action is Action.READ:
        return person in charter.people
    if action is Action.HANDLE:
        return person in incident_handlers(charter)
    return any(action in POWERS[role] for role in roles_of(charter, person))


def people_who_may(charter: Charter, action: Action) -> tuple[str, ...]:
    """Return the ids of all who may do something, in the charter's order."""
    return tuple(person for person in charter.people if may_act(charter, person, action))


def incident_handlers(charter: Charter) -> dict[str, str]:
    """Return who may acknowledge, end and review incidents of an agent, with the reason why."""
    row = charter.raci.incident_response
    named: list[tuple[object, str]] = [
        (charter.owner.person, "owner"),
        (row.accountable, "accountable for incident_response"),
        *((person, "responsible for incident_response") for person in known(row.responsible) or ()),
        *((person, "operations") for person in known(charter.operations.team) or ()),
        *(
            (person, f"escalation level {level.level}")
            for level in sorted(known(charter.escalation) or (), key=lambda one: one.level)
            for person in known(level.to) or ()
        ),
    ]
    found: dict[str, str] = {}
    for person, why in named:
        if isinstance(person, str) and person in charter.people:
            found.setdefault(person, why)
    for person in tuple(found):
        substitute = charter.substitute_of(person)
        if substitute is not None and substitute in charter.people:
            found.setdefault(substitute, f"substitute of {charter.name_of(person)}")
    return found
