# SPDX-License-Identifier: Apache-2.0
"""Rules about who does what: the RACI table, the escalation path and its times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.facts import CharterFacts
from pilothouse.core.charter.people import Duty
from pilothouse.core.charter.quantities import format_duration
from pilothouse.core.charter.rules.rule import Check, Hit, Rule, error, warning

__all__ = ["CHECKS", "MISSING_DUTY", "NO_ACCOUNTABLE", "RACI_BLANK", "RULES", "TWO_ACCOUNTABLE"]

TWO_ACCOUNTABLE = error(
    "raci-two-accountable", "duty {duty} has {n} accountable: {who}", "Keep one A; the others become R or C."
)
NO_ACCOUNTABLE = error("raci-no-accountable", "duty {duty}: A is empty", "Name one person for A.")
RACI_BLANK = error(
    "raci-blank", "duty {duty}: {letter} is empty", "Name someone; `none` is allowed for C and I."
)
MISSING_DUTY = error(
    "raci-missing-duty", "duty {duty} is missing", "Add the row `{duty}: {{A: …, R: […], C: none, I: none}}`."
)
NO_POWER = error(
    "raci-no-power",
    "{person} is A for {duty} but the role {role} lacks permission to {permission}",
    "Grant it: change `people.{person}.role`, or change A.",
)
ESCALATION_CYCLE = error(
    "escalation-cycle", "{person} stands at levels {first} and {second}", "Let each person stand once."
)
ESCALATION_DEAD_END = error(
    "escalation-dead-end", "last level of the escalation is not owner or sponsor", "End at {end}."
)
ESCALATION_ORDER = error(
    "escalation-order",
    "level {level} stands where level {expected} must",
    "Number the levels 1, 2, 3 in order.",
)
SLA_ORDER = error(
    "sla-order",
    "level {level} acknowledges later than sev1 resolves ({after} ≥ {resolve})",
    "Shorten `acknowledge`, so that the levels up to here take less than {resolve} together.",
)
NO_SUBSTITUTE = warning(
    "no-substitute", "{person} is alone at level 1 without substitute", "Add `people.{person}.substitute`."
)

RULES: tuple[Rule, ...] = (
    TWO_ACCOUNTABLE,
    NO_ACCOUNTABLE,
    RACI_BLANK,
    MISSING_DUTY,
    NO_POWER,
    ESCALATION_CYCLE,
    ESCALATION_DEAD_END,
    ESCALATION_ORDER,
    SLA_ORDER,
    NO_SUBSTITUTE,
)

NOBODY = "none"
"""Allowed for C and I; an A of `none` is nobody."""

PERMISSION_OF_DUTY: dict[Duty, str] = {
    "quality_metrics": "approve",
    "incident_response": "pause",
    "model_upgrades": "approve",
    "prompt_changes": "approve",
    "integration_maintenance": "operate",
    "feedback_review": "review",
    "benchmarks": "operate",
    "downstream_process": "approve",
    "outcome_reporting": "sign",
}
"""What the accountable person must be able to do in the product."""

PERMISSIONS_OF_ROLE: dict[str, frozenset[str]] = {
    "owner": frozenset({"approve", "pause", "operate", "review", "sign"}),
    "approver": frozenset({"approve", "review", "sign"}),
    "operator": frozenset({"pause", "operate", "review"}),
    "reviewer": frozenset({"review"}),
    "auditor": frozenset(),
    "executive": frozenset({"approve", "sign"}),
}
"""Permissions of each role. A person without a role has what the charter's duties need: the charter
itself is the grant."""


def _check_raci(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield what is wrong with the duties."""
    del facts
    for duty, row in charter.raci.rows().items():
        for letter, names in (("R", row.responsible), ("C", row.consulted), ("I", row.informed)):
            if names == () or (letter == "R" and names is None):
                yield RACI_BLANK.at(("raci", duty, letter), duty=duty, letter=letter)
        accountable = known(row.accountable)
        if accountable == NOBODY:
            yield NO_ACCOUNTABLE.at(("raci", duty, "A"), duty=duty)
        person = charter.people.get(accountable) if accountable else None
        role = known(person.role) if person else None
        permission = PERMISSION_OF_DUTY[duty]
        if role is not None and permission not in PERMISSIONS_OF_ROLE[role]:
            yield NO_POWER.at(
                ("raci", duty, "A"), person=accountable, duty=duty, role=role, permission=permission
            )


def _check_escalation(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield what is wrong with the path that a page climbs."""
    del facts
    levels = known(charter.escalation)
    if levels is None:
        return
    stands_at: dict[str, int] = {}
    for index, level in enumerate(levels):
        if level.level != index + 1:
            yield ESCALATION_ORDER.at(("escalation", index, "level"), level=level.level, expected=index + 1)
        for position, person in enumerate(known(level.to) or ()):
            if is_open(person):
                continue
            if person in stands_at:
                yield ESCALATION_CYCLE.at(
                    ("escalation", index, "to", position),
                    person=person,
                    first=stands_at[person],
                    second=index + 1,
                )
            stands_at.setdefault(person, index + 1)
    ends = known(levels[-1].to) if levels else ()
    owner, sponsor = charter.owner.person, charter.sponsor.person
    if (
        ends is not None
        and not any(is_open(name) for name in (*ends, owner, sponsor))
        and not {owner, sponsor} & {*ends}
    ):
        last = ("escalation", len(levels) - 1, "to") if levels else ("escalation",)
        yield ESCALATION_DEAD_END.at(last, end=f"{owner} (owner) or {sponsor} (sponsor)")
    first = known(levels[0].to) if levels else None
    if first and len(first) == 1:
        alone = charter.people.get(first[0])
        if alone is not None and alone.substitute is None:
            yield NO_SUBSTITUTE.at(("escalation", 0, "to"), person=first[0])


def _check_times(charter: Charter, facts: CharterFacts) -> Iterator[Hit]:
    """Yield the levels that would be called after the worst incident had to be over."""
    del facts
    sev1 = (known(charter.severities) or {}).get("sev1")
    resolve = known(sev1.resolve) if sev1 else None
    if resolve is None:
        return
    after = timedelta()
    for index, level in enumerate(known(charter.escalation) or ()):
        acknowledge = known(level.acknowledge)
        if acknowledge is None:
            return
        after += acknowledge
        if after >= resolve:
            yield SLA_ORDER.at(
                ("escalation", index, "acknowledge"),
                level=index + 1,
                after=format_duration(after),
                resolve=format_duration(resolve),
            )
            return


CHECKS: tuple[Check, ...] = (_check_raci, _check_escalation, _check_times)
