# SPDX-License-Identifier: Apache-2.0
"""Decide every requirement of a phase from its items, then gates and domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import is_

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.declared import Objection
from pilothouse.core.verdict.expansion import people_for
from pilothouse.core.verdict.framework import DOMAINS, FRAMEWORK
from pilothouse.core.verdict.requirement import Requirement
from pilothouse.core.verdict.ruling import Judged, severity_key
from pilothouse.core.verdict.verdict import (
    DomainVerdict,
    GateVerdict,
    ItemVerdict,
    Reason,
    RequirementVerdict,
    Status,
    worst_status,
)
from pilothouse.core.verdict.waiver import Waiver, valid_waivers, waiver_in_force, waiver_of_parts

__all__ = [
    "WORDS",
    "Before",
    "Decided",
    "PhaseItems",
    "decide_all",
    "domain_verdict",
    "gate_verdict",
    "needed_by",
    "word_of",
]

WORDS = {
    Status.BREACHED: "NO-GO",
    Status.NO_EVIDENCE: "NOT ENOUGH EVIDENCE",
    Status.AT_RISK: "GO WITH CONDITIONS",
    Status.HOLDS: "GO",
}
"""The word of a decision by its worst status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A requirement with its deciding item and sort key."""

    verdict: RequirementVerdict
    judged: Judged


def _worst_first(judged: Iterable[Judged]) -> list[Judged]:
    return sorted(judged, key=severity_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseItems:
    """One phase at one moment.

    Attributes:
        charter: The charter in force.
        now: The moment.
        version: Version that is judged.
        waivers: Every waiver ever signed.
        objections: What the charter says against itself.
        judged: Items of each requirement.
    """

    charter: Charter
    now: datetime
    version: str | None
    waivers: tuple[Waiver, ...]
    objections: tuple[Objection, ...]
    judged: Mapping[str, list[Judged]]


def _nothing_asked(requirement: Requirement, charter: Charter) -> Judged:
    item = ItemVerdict(
        requirement=requirement.id,
        scope=Scope(),
        status=Status.NO_EVIDENCE,
        reason=Reason.MISSING,
        rule=requirement.asks,
        sentence="The charter declares nothing that this speaks of, so no gate asks for it.",
        remedy="pilothouse check",
        who=people_for(requirement, charter, {}),
    )
    return Judged(item=item, share_lost=0.0, oldest=None, higher_is_better=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A requirement as decided for the previous phase; equal parts give an equal decision.

    Attributes:
        judged: Its items, as they were judged.
        said: What the charter says against it.
        of: Decisions of the requirements that it is made of.
        decided: What came of them.
    """

    judged: list[Judged]
    said: list[Objection]
    of: list[Judged]
    decided: Decided

    def is_like(self, judged: list[Judged], said: list[Objection], of: list[Judged]) -> bool:
        """Whether the items are unchanged; each is judged once, so equal items are the same objects."""
        return (
            said == self.said
            and len(judged) == len(self.judged)
            and len(of) == len(self.of)
            and all(map(is_, judged, self.judged))
            and all(map(is_, of, self.of))
        )


def _objected(objection: Objection, requirement: Requirement, charter: Charter) -> Judged:
    """Return the item for a breach that the charter itself declares."""
    item = ItemVerdict(
        requirement=requirement.id,
        scope=Scope(part="declared"),
        status=Status.BREACHED,
        rule=objection.rule,
        sentence=objection.sentence,
        basis=None,
        source="charter",
        remedy=objection.remedy,
        who=people_for(requirement, charter, {}),
    )
    return Judged(item=item, share_lost=1.0, oldest=None, higher_is_better=None)


def _decide_one(
    requirement: Requirement, asked: PhaseItems, decided: Mapping[str, Decided], before: dict[str, Before]
) -> Decided:
    judged = asked.judged[requirement.id]
    said = [one for one in asked.objections if one.requirement == requirement.id]
    of = [decided[name].judged for name in requirement.of]
    known = before.get(requirement.id)
    if known is not None and known.is_like(judged, said, of):
        return known.decided
    items = _with_objections(requirement, asked.charter, judged, said) if judged or of else []
    found = _decide_anew(requirement, asked, [*items, *of])
    before[requirement.id] = Before(judged=judged, said=said, of=of, decided=found)
    return found


def _with_objections(
    requirement: Requirement, charter: Charter, judged: Sequence[Judged], said: Sequence[Objection]
) -> list[Judged]:
    """Return the items with the charter's warnings, and an item for each breach that it declares."""
    breaches = [_objected(one, requirement, charter) for one in said if one.breaches]
    return [*(found.warned(said) for found in judged), *breaches]


def _decide_anew(requirement: Requirement, asked: PhaseItems, items: Sequence[Judged]) -> Decided:
    is_asked = bool(items)
    ordered = _worst_first(items) or [_nothing_asked(requirement, asked.charter)]
    deciding = ordered[0]
    valid = valid_waivers(
        asked.waivers, ordered, requirement.id, asked.charter, now=asked.now, version=asked.version
    )
    mark = waiver_in_force(valid, ordered)
    part = None if mark else waiver_of_parts(valid, ordered)
    return Decided(
        verdict=RequirementVerdict(
            requirement=requirement.id,
            domain=requirement.domain,
            statement=requirement.statement,
            gates=requirement.gates if is_asked else (),
            status=deciding.item.status,
            reason=deciding.item.reason,
            deciding=deciding.item,
            items=tuple(found.item for found in ordered),
            waiver=mark,
            part_waiver=part,
        ),
        judged=deciding,
    )


def decide_all(asked: PhaseItems, before: dict[str, Before]) -> dict[str, Decided]:
    """Return every requirement as a phase asks for it.

    Args:
        asked: Its items.
        before: What other phases came to, by requirement: equal items are not decided twice. What is new is put in.
    """
    decided: dict[str, Decided] = {}
    for requirement in FRAMEWORK:
        decided[requirement.id] = _decide_one(requirement, asked, decided, before)
    return decided


def needed_by(gate: str, decided: Mapping[str, Decided]) -> list[Decided]:
    """Return the requirements of a gate: a numbered gate includes the earlier ones."""
    wanted = set(NUMBERED_PHASES[: int(gate)]) if gate in NUMBERED_PHASES else {gate}
    return [one for one in decided.values() if wanted & set(one.verdict.gates)]


def gate_verdict(gate: str, decided: Mapping[str, Decided]) -> GateVerdict:
    """Return the verdict of a gate: the worst of its requirements."""
    needed = needed_by(gate, decided)
    ids = {
        status: tuple(one.verdict.requirement for one in needed if one.verdict.status is status)
        for status in Status
    }
    worst = min(needed, key=lambda one: severity_key(one.judged))
    return GateVerdict(
        gate=gate,
        status=worst_status(tuple(one.verdict.status for one in needed)),
        reason=worst.verdict.reason,
        worst=worst.verdict.requirement,
        breached=ids[Status.BREACHED],
        no_evidence=ids[Status.NO_EVIDENCE],
        at_risk=ids[Status.AT_RISK],
        holds=ids[Status.HOLDS],
        waived=tuple(one.verdict.requirement for one in needed if one.verdict.waiver is not None),
    )


def domain_verdict(domain: str, gate: str, decided: Mapping[str, Decided]) -> DomainVerdict:
    """Return the verdict of a domain: the worst of its requirements that a gate needs."""
    needed = [one for one in needed_by(gate, decided) if one.verdict.domain == domain]
    worst = min(needed, key=lambda one: severity_key(one.judged))
    return DomainVerdict(
        domain=domain,
        title=DOMAINS[domain],
        status=worst.verdict.status,
        reason=worst.verdict.reason,
        worst=worst.verdict.requirement,
    )


def word_of(needed: Sequence[Decided]) -> str:
    """Return the word of the decision; a waived requirement opens a gate, with conditions."""
    unwaived = [left for one in needed if (left := one.verdict.unwaived_status) is not None]
    worst = worst_status((*unwaived, Status.HOLDS))
    if worst is Status.HOLDS and len(unwaived) < len(needed):
        worst = Status.AT_RISK
    return WORDS[worst]
