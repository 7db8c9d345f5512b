# SPDX-License-Identifier: Apache-2.0
"""Expand parts of requirements into items for one charter, and find who must act on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pilothouse.core.charter.answers import is_open, known, open_paths
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import PHASES, PhaseName
from pilothouse.core.charter.people import DUTIES, REVIEWS
from pilothouse.core.charter.systems import Integration
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.evidence.kind import Form
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.verdict.requirement import (
    Bound,
    Census,
    Committed,
    Fact,
    Paired,
    Part,
    Per,
    Requirement,
    Rule,
    Zero,
)

__all__ = [
    "OpenQuestion",
    "Slot",
    "bound_of",
    "committed",
    "expand",
    "life_of",
    "people_for",
    "people_in_role",
    "rule_of",
    "runbooks_of",
]


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A value that the charter leaves open.

    Attributes:
        path: Where, dotted.
    """

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One item to be decided.

    Attributes:
        scope: Scope of the record that decides it.
        names: Names to fill into paths and commands, for example `{"task_type": "refund"}`.
        section: Section that is signed, or None.
        person: Person it is about, or None.
        question: What the charter leaves open, or None; then nothing can decide it.
    """

    scope: Scope = field(default_factory=Scope)
    names: Mapping[str, str] = field(default_factory=dict)
    section: str | None = None
    person: str | None = None
    question: OpenQuestion | None = None


def committed(charter: Charter, path: str, names: Mapping[str, str]) -> object | OpenQuestion:
    """Return the charter's value at a path, or the open question there.

    Args:
        charter: The charter.
        path: Dotted, with `{task_type}` and the like; entries of a list are found by their name.
        names: What to fill in; a name may hold dots itself.

    Returns:
        The value, None where nothing stands there, or an `OpenQuestion`.
    """
    here: object = charter
    walked: list[str] = []
    for step in path.split("."):
        name = names[step[1:-1]] if step.startswith("{") else step
        walked.append(name)
        if isinstance(here, tuple):
            here = {entry.name: entry for entry in here}
        if here is not None:
            here = here.get(name) if isinstance(here, dict) else getattr(here, name)
        if is_open(here):
            return OpenQuestion(".".join(walked))
    return here


def bound_of(rule: Rule, names: Mapping[str, str], charter: Charter) -> float | OpenQuestion:
    """Return the bound of a rule for one item, 0 for a rule that has none, or the question that the charter leaves open.

    Args:
        rule: The rule.
        names: What to fill into the path of a committed bound.
        charter: The charter.
    """
    if isinstance(rule, (Fact, Zero)):
        return 0.0
    return _number(rule.bound, names, charter)


def _number(bound: Bound, names: Mapping[str, str], charter: Charter) -> float | OpenQuestion:
    if not isinstance(bound, Committed):
        return bound
    value = committed(charter, bound.path, names)
    cap = committed(charter, bound.cap, names) if bound.cap else None
    question = next((one for one in (value, cap) if isinstance(one, OpenQuestion)), None)
    if question is not None:
        return question
    value = bound.otherwise if value is None else value
    if not isinstance(value, (int, float)):
        return OpenQuestion(bound.path)
    value = min(value, cap) if isinstance(cap, (int, float)) else value
    return float(value) * bound.scale


def rule_of(rule: Rule, names: Mapping[str, str], charter: Charter) -> Rule | OpenQuestion:
    """Return a rule with the least number that the charter asks for besides its bound, or the question left open there.

    Args:
        rule: The rule.
        names: What to fill into its paths.
        charter: The charter.
    """
    if not isinstance(rule, (Census, Paired)) or rule.least is None:
        return rule
    least = _number(rule.least, names, charter)
    return least if isinstance(least, OpenQuestion) else replace(rule, least=least)


def life_of(part: Part, names: Mapping[str, str], charter: Charter) -> timedelta | OpenQuestion | None:
    """Return how long evidence counts for one item, None for ever, or the question that the charter leaves open.

    Args:
        part: Part of a requirement.
        names: What to fill into the path of a life that the charter says.
        charter: The charter.
    """
    said: object = part.fresh
    if isinstance(part.fresh, str):
        said = committed(charter, part.fresh, names)
        said = part.otherwise if said is None else said
    if isinstance(said, OpenQuestion):
        return said
    if isinstance(said, timedelta):
        return said * (1 + part.grace)
    return None if part.fresh is None else timedelta(0)


_Members = Callable[[Charter, PhaseName], tuple[str, ...] | OpenQuestion]


def _entries(path: str, attribute: str | None = None) -> _Members:
    """Return what reads a collection of the charter: its entries, or one attribute of each."""

    def read(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
        found: Any = committed(charter, path, {})
        if isinstance(found, OpenQuestion):
            return found
        return tuple(entry if attribute is None else getattr(entry, attribute) for entry in found)

    return read


def _task_types(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    return tuple(charter.task_types) or OpenQuestion("task_types")


def _routed(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    return tuple(name for name, terms in charter.task_types.items() if terms.routing.mode != "off")


def _integrations(charter: Charter, phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    names = charter.integrations_of(phase)
    if names is not None:
        return names
    declared = charter.integrations
    return OpenQuestion("integrations" if is_open(declared) else f"phases.{phase}.integrations")


def _integrations_where(holds: Callable[[Integration], bool]) -> _Members:
    """Return what reads the integrations of a phase of which a condition holds."""

    def read(charter: Charter, phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
        names = _integrations(charter, phase)
        if isinstance(names, OpenQuestion):
            return names
        chosen = ((name, charter.integration(name)) for name in names)
        return tuple(name for name, integration in chosen if integration and holds(integration))

    return read


def _tools(charter: Charter, phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    names = _integrations(charter, phase)
    if isinstance(names, OpenQuestion):
        return names
    if is_open(charter.tools):
        return OpenQuestion("tools")
    return tuple(name for name, tool in charter.tools.items() if tool.integration in {*names, "?"})


def runbooks_of(charter: Charter) -> tuple[str, ...]:
    """Return the runbooks that a charter names, in an alert or for themselves; sorted."""
    alerts = known(charter.alerts) or ()
    return tuple(sorted({alert.runbook for alert in alerts} | set(known(charter.runbooks) or {})))


def _runbooks(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    return OpenQuestion("alerts") if is_open(charter.alerts) else runbooks_of(charter)


def _promising(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    """Return the alerts that promise when they fire, and those that must: a fall is nothing that is seen at once."""
    alerts = charter.alerts
    if is_open(alerts):
        return OpenQuestion("alerts")
    return tuple(
        alert.id
        for alert in alerts
        if alert.detect_within is not None or is_open(alert.detector) or alert.detector == "drop"
    )


def _judges(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    judges = charter.model.judges
    if is_open(judges):
        return OpenQuestion("model.judges")
    for name, terms in charter.task_types.items():
        if judges and is_open(terms.metric):  # it may be any of them
            return OpenQuestion(f"task_types.{name}.metric")
    metrics = {terms.metric for terms in charter.task_types.values()}
    return tuple(judge.name for judge in judges if judge.name in metrics)


def _deployment(charter: Charter, _phase: PhaseName) -> tuple[str, ...] | OpenQuestion:
    pin = charter.model.pin
    return () if pin.deployment is None else (pin.model,)


_SETS: dict[Per, tuple[_Members, str, str]] = {
    Per.TASK_TYPE: (_task_types, "task_type", "task_type"),
    Per.ROUTED_TYPE: (_routed, "task_type", "task_type"),
    Per.INTEGRATION: (_integrations, "integration", "integration"),
    Per.FRESH_INTEGRATION: (
        _integrations_where(lambda one: one.freshness is not None),
        "integration",
        "integration",
    ),
    Per.CRITICAL_INTEGRATION: (
        _integrations_where(lambda one: one.criticality in {"high", "?"}),
        "integration",
        "integration",
    ),
    Per.TOOL: (_tools, "tool", "tool"),
    Per.FAMILY: (_entries("datasets.adversarial.families"), "family", "part"),
    Per.ALERT: (_promising, "alert", "part"),
    Per.RUNBOOK: (_runbooks, "runbook", "part"),
    Per.JUDGE: (_judges, "judge", "part"),
    Per.DEPLOYMENT: (_deployment, "model", "part"),
    Per.REGULATION: (_entries("regulations"), "regulation", "part"),
    Per.SOURCE: (_entries("sources", "name"), "source", "part"),
    Per.REVIEW: (lambda _charter, _phase: REVIEWS, "review", "part"),
    Per.OUTCOME: (_entries("outcomes", "name"), "outcome", "part"),
}
"""How each set is read, the name it fills in, and the field of the scope that carries it."""


def people_in_role(charter: Charter, role: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the person ids behind a role; empty while the charter leaves them open.

    Args:
        charter: The charter.
        role: `owner`, `sponsor`, `team`, `integration`, `A:duty` or `R:duty`.
        names: Names of the item, for roles that depend on it.
    """
    if role == "owner":
        found: tuple[str, ...] = (charter.owner.person,)
    elif role == "sponsor":
        found = (charter.sponsor.person,)
    elif role == "team":
        found = known(charter.operations.team) or ()
    elif role == "integration":
        integration = charter.integration(names.get("integration", ""))
        found = (integration.owner,) if integration else (charter.raci.integration_maintenance.accountable,)
    else:
        letter, _, duty = role.partition(":")
        row = getattr(charter.raci, duty)
        found = (row.accountable,) if letter == "A" else (known(row.responsible) or ())
    return tuple(person for person in found if not is_open(person))


def people_for(requirement: Requirement, charter: Charter, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return who must act on an item of a requirement.

    Args:
        requirement: The requirement.
        charter: The charter.
        names: Names of the item, for roles that depend on it.
    """
    found = [person for role in requirement.who for person in people_in_role(charter, role, names)]
    return tuple(dict.fromkeys(found))


def _readers(charter: Charter, runbook: str) -> tuple[str, ...]:
    terms = (known(charter.runbooks) or {}).get(runbook)
    chosen = known(terms.reviewed_by) if terms else None
    if chosen is not None and chosen != "all_owners":
        return tuple(chosen)
    both = (
        *people_in_role(charter, "A:incident_response", {}),
        *people_in_role(charter, "R:incident_response", {}),
    )
    return tuple(dict.fromkeys(both))


def _signature_slots(charter: Charter, part: Part, phase: PhaseName | None) -> Iterable[Slot]:
    for section in part.sections:
        for role in part.signers:
            people = people_in_role(charter, role, {})
            if not people:
                yield Slot(
                    scope=Scope(part=f"{section} by {role}", phase=phase),
                    section=section,
                    question=OpenQuestion(f"raci.{role[2:]}.{role[0]}" if ":" in role else f"{role}.person"),
                )
            for person in people:
                scope = Scope(part=f"{section} by {person}", phase=phase)
                yield Slot(scope=scope, section=section, person=person)


def _duty_slots(charter: Charter, part: Part) -> Iterable[Slot]:
    """Yield each duty, and where it is signed each person who does its work: a group in the directory signs nothing."""
    signs = kind_named(part.kind).form is Form.SIGNATURE
    for duty in DUTIES:
        row, names = charter.raci.row(duty), {"duty": duty}
        accountable = known(row.accountable)
        question = OpenQuestion(f"raci.{duty}.A") if accountable is None else None
        person = accountable if signs else None
        yield Slot(scope=Scope(duty=duty), names=names, section="raci", person=person, question=question)
        if not signs:
            continue
        for one in ("?",) if is_open(row.responsible) else dict.fromkeys(row.responsible):
            if one in charter.people and one != accountable:
                scope = Scope(duty=duty, part=f"by {one}")
                yield Slot(scope=scope, names=names, section="raci", person=one)
            elif is_open(one):
                scope, left = Scope(duty=duty, part="by R"), OpenQuestion(f"raci.{duty}.R")
                yield Slot(scope=scope, names=names, section="raci", question=left)


def _reader_slots(charter: Charter, phase: PhaseName) -> Iterable[Slot]:
    runbooks = _runbooks(charter, phase)
    if isinstance(runbooks, OpenQuestion):
        yield Slot(question=runbooks)
        return
    for runbook in runbooks:
        for person in _readers(charter, runbook) or (None,):
            yield Slot(
                scope=Scope(part=f"{runbook} by {person or 'all owners'}"),
                names={"runbook": runbook},
                section="alerts",
                person=person,
                question=None if person else OpenQuestion("raci.incident_response.A"),
            )


def expand(part: Part, charter: Charter, phase: PhaseName) -> tuple[Slot, ...]:
    """Return the items of a part, in the charter's order.

    An empty set of the charter gives no item: nothing declared, nothing asked. A set that is an open
    question gives one item that nothing can decide until it is answered.

    Args:
        part: Part of a requirement.
        charter: The charter.
        phase: Phase whose integrations and tools count.
    """
    if part.since is not None and PHASES.index(phase) < PHASES.index(part.since):
        return ()
    for path in part.answered:
        section: object = committed(charter, path, {})
        questions = (section.path,) if isinstance(section, OpenQuestion) else open_paths(section, path)
        if questions:
            return (Slot(question=OpenQuestion(questions[0])),)
    if part.per is Per.AGENT:
        people = people_in_role(charter, part.signers[0], {}) if part.signers else ()
        return (Slot(person=people[0] if people else None),)
    if part.per is Per.SIGNER:
        return tuple(_signature_slots(charter, part, phase if part.each_phase else None))
    if part.per is Per.DUTY:
        return tuple(_duty_slots(charter, part))
    if part.per is Per.READER:
        return tuple(_reader_slots(charter, phase))
    read, name, scope_field = _SETS[part.per]
    members = read(charter, phase)
    if isinstance(members, OpenQuestion):
        return (Slot(question=members),)
    return tuple(
        Slot(scope=Scope(**{scope_field: member}), names=_names(charter, name, member)) for member in members
    )


def _names(charter: Charter, name: str, member: str) -> dict[str, str]:
    names = {name: member}
    tool = charter.tool(member) if name == "tool" else None
    if tool is not None:
        names["integration"] = tool.integration
    return names
