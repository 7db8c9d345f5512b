# SPDX-License-Identifier: Apache-2.0
"""Charter and evidence become the verdict about one agent: pure, and blind to the order of arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import is_

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.evidence.admission import admit_evidence
from pilothouse.core.evidence.evidence import Evidence, Scope
from pilothouse.core.verdict.declared import Objection, objections
from pilothouse.core.verdict.docket import Docket, judge_all
from pilothouse.core.verdict.expansion import PHASES_JUDGED, people_for
from pilothouse.core.verdict.framework import DOMAINS, FRAMEWORK
from pilothouse.core.verdict.requirement import Requirement
from pilothouse.core.verdict.rules import LEVEL
from pilothouse.core.verdict.ruling import Judged, severity_key
from pilothouse.core.verdict.sentence import first_sentence, person_names
from pilothouse.core.verdict.verdict import (
    AgentVerdict,
    DomainVerdict,
    GateVerdict,
    ItemVerdict,
    Reason,
    RequirementVerdict,
    Status,
    worst_status,
)
from pilothouse.core.verdict.waiver import Waiver, waiver_in_force
from pilothouse.errors import ExitStatus

__all__ = ["conclude", "decide", "exit_status", "verdict_digest", "verdict_document"]

_NUMBERED = ("1", "2", "3")

_WORDS = {
    Status.BREACHED: "NO-GO",
    Status.NO_EVIDENCE: "NOT ENOUGH EVIDENCE",
    Status.AT_RISK: "GO WITH CONDITIONS",
    Status.HOLDS: "GO",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A requirement with what its order among others rests on."""

    verdict: RequirementVerdict
    judged: Judged


def _worst_first(judged: Iterable[Judged]) -> list[Judged]:
    return sorted(judged, key=severity_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sitting:
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
class _Before:
    """A requirement as the phase before asks for it; equal parts make an equal decision.

    Attributes:
        judged: Its items, as they were judged.
        said: What the charter says against it.
        of: Decisions of the requirements that it is made of.
        decided: What came of them.
    """

    judged: list[Judged]
    said: list[Objection]
    of: list[Judged]
    decided: _Decided

    def is_like(self, judged: list[Judged], said: list[Objection], of: list[Judged]) -> bool:
        """Whether nothing is asked that was not asked before; items are judged once, so they are the same objects."""
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
    requirement: Requirement, sitting: _Sitting, decided: Mapping[str, _Decided], before: dict[str, _Before]
) -> _Decided:
    judged = sitting.judged[requirement.id]
    said = [one for one in sitting.objections if one.requirement == requirement.id]
    of = [decided[name].judged for name in requirement.of]
    known = before.get(requirement.id)
    if known is not None and known.is_like(judged, said, of):
        return known.decided
    items = _with_objections(requirement, sitting.charter, judged, said) if judged or of else []
    found = _decide_anew(requirement, sitting, [*items, *of])
    before[requirement.id] = _Before(judged=judged, said=said, of=of, decided=found)
    return found


def _with_objections(
    requirement: Requirement, charter: Charter, judged: Sequence[Judged], said: Sequence[Objection]
) -> list[Judged]:
    """Return the items with the charter's warnings, and an item for each breach that it declares."""
    breaches = [_objected(one, requirement, charter) for one in said if one.breaches]
    return [*(found.warned(said) for found in judged), *breaches]


def _decide_anew(requirement: Requirement, sitting: _Sitting, items: Sequence[Judged]) -> _Decided:
    asked = bool(items)
    ordered = _worst_first(items) or [_nothing_asked(requirement, sitting.charter)]
    deciding = ordered[0]
    mark = waiver_in_force(
        sitting.waivers,
        [found.item for found in ordered],
        requirement.id,
        sitting.charter,
        now=sitting.now,
        version=sitting.version,
        higher_is_better=deciding.higher_is_better,
    )
    return _Decided(
        verdict=RequirementVerdict(
            requirement=requirement.id,
            domain=requirement.domain,
            statement=requirement.statement,
            gates=requirement.gates if asked else (),
            status=deciding.item.status,
            reason=deciding.item.reason,
            deciding=deciding.item,
            items=tuple(found.item for found in ordered),
            waiver=mark,
        ),
        judged=deciding,
    )


def _decide_all(sitting: _Sitting, before: dict[str, _Before]) -> dict[str, _Decided]:
    decided: dict[str, _Decided] = {}
    for requirement in FRAMEWORK:
        decided[requirement.id] = _decide_one(requirement, sitting, decided, before)
    return decided


def _needed_by(gate: str, decided: Mapping[str, _Decided]) -> list[_Decided]:
    """Return what a gate asks for: a numbered gate includes those before it."""
    wanted = set(_NUMBERED[: int(gate)]) if gate in _NUMBERED else {gate}
    return [one for one in decided.values() if wanted & set(one.verdict.gates)]


def _gate_verdict(gate: str, decided: Mapping[str, _Decided]) -> GateVerdict:
    needed = _needed_by(gate, decided)
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
    )


def _domain_verdict(domain: str, gate: str, decided: Mapping[str, _Decided]) -> DomainVerdict:
    needed = [one for one in _needed_by(gate, decided) if one.verdict.domain == domain]
    worst = min(needed, key=lambda one: severity_key(one.judged))
    return DomainVerdict(
        domain=domain,
        title=DOMAINS[domain],
        status=worst.verdict.status,
        reason=worst.verdict.reason,
        worst=worst.verdict.requirement,
    )


def _word(needed: Sequence[_Decided]) -> str:
    """Return the word of the decision: what is waived opens a gate, with conditions."""
    unwaived = [one.verdict.status for one in needed if one.verdict.waiver is None]
    worst = worst_status((*unwaived, Status.HOLDS))
    if worst is Status.HOLDS and len(unwaived) < len(needed):
        worst = Status.AT_RISK
    return _WORDS[worst]


def decide(
    charter: Charter,
    evidence: Iterable[Evidence],
    now: datetime,
    *,
    phase: PhaseName = "pilot",
    version: str | None = None,
    waivers: tuple[Waiver, ...] = (),
    level: float = LEVEL,
) -> AgentVerdict:
    """Decide what holds, what does not, and what nobody knows about one agent.

    Nothing is averaged: an item is the newest decisive record of its scope, a requirement its worst
    item, a gate its worst requirement. The order of `evidence` and duplicates in it do not matter. With
    a later `now` and the same evidence nothing ever gets better.

    Args:
        charter: The charter in force.
        evidence: Records in any order; those that cannot count are named in `notes`.
        now: The moment, aware UTC.
        phase: Phase the agent is in; in the pilot, the gate of phase 1 decides.
        version: Version that is judged: the one that served most recently, or None when traffic
            names none. Nothing that was measured on another version counts.
        waivers: Signed permissions, shown beside a status and never instead of it.
        level: Confidence at which a rate counts as proved, in (0, 1); a planned look at a gate asks for more.

    Returns:
        The verdict, equal for equal arguments down to its bytes.
    """
    admitted = admit_evidence(evidence, charter.agent, now)
    docket = judge_all(charter, admitted.records, version=version, level=level)
    return conclude(docket, charter, now, phase=phase, waivers=waivers, refused=admitted.refused)


def conclude(
    docket: Docket,
    charter: Charter,
    now: datetime,
    *,
    phase: PhaseName = "pilot",
    waivers: tuple[Waiver, ...] = (),
    refused: tuple[str, ...] = (),
) -> AgentVerdict:
    """Return the verdict at a moment from items that are decided.

    Args:
        docket: The items, decided on the records that count.
        charter: The charter that they were decided under.
        now: The moment, aware UTC.
        phase: Phase the agent is in.
        waivers: Signed permissions.
        refused: Why records could not count.

    Returns:
        The same verdict, to its bytes, as `decide` gives on all records at this moment.
    """
    inner: PhaseName = "1" if phase == "pilot" else phase
    following: PhaseName | None = {"pilot": "1", "1": "2", "2": "3"}.get(phase)  # type: ignore[assignment]  # values are phases
    judged = [ruling.at(now) for ruling in docket.rulings]
    by_phase: dict[str, dict[str, _Decided]] = {}
    before: dict[str, _Before] = {}
    for scope in dict.fromkeys((inner, *PHASES_JUDGED)):
        sitting = _Sitting(
            charter=charter,
            now=now,
            version=docket.in_force.version,
            waivers=waivers,
            objections=objections(charter, now, scope),
            judged={name: [judged[place] for place in own] for name, own in docket.places[scope].items()},
        )
        by_phase[scope] = _decide_all(sitting, before)
    decided = by_phase[inner]
    order = dict.fromkeys((inner, following or inner, *_NUMBERED, "R", "X"))
    gates = tuple(_gate_verdict(gate, by_phase.get(gate, decided)) for gate in order)
    needed = _needed_by(inner, decided)
    worst = min(needed, key=lambda one: severity_key(one.judged))
    counted = [item for one in needed for item in one.verdict.items if item.status in _STANDING]
    tightest = min(
        (found for one in needed for found in [one.judged]), key=lambda found: -found.share_lost, default=None
    )
    next_lapse = min((item.lapses_at for item in counted if item.lapses_at), default=None)
    return AgentVerdict(
        agent=charter.agent,
        version=docket.in_force.version,
        phase=phase,
        as_of=now,
        charter_digest=charter.digest,
        status=worst.verdict.status,
        reason=worst.verdict.reason,
        deciding=worst.verdict.requirement,
        sentence=first_sentence(
            worst.verdict,
            tightest.item if tightest else None,
            needed=len(needed),
            nothing_known=not docket.knows_anything,
            next_lapse_at=next_lapse,
            names=person_names(charter),
        ),
        next_gate=following,
        word=_word(needed),
        next_lapse_at=next_lapse,
        domains=tuple(
            _domain_verdict(domain, following or inner, by_phase[following or inner]) for domain in DOMAINS
        ),
        gates=gates,
        requirements=tuple(one.verdict for one in decided.values()),
        notes=refused,
    )


_STANDING = frozenset({Status.HOLDS, Status.AT_RISK})


def exit_status(verdict: AgentVerdict, *, strict: bool = False) -> ExitStatus:
    """Return what the process exits with.

    Args:
        verdict: The verdict.
        strict: Whether a status at risk counts as a failure.
    """
    if verdict.status is Status.BREACHED or (strict and verdict.status is Status.AT_RISK):
        return ExitStatus.BREACHED
    if verdict.status is Status.NO_EVIDENCE:
        return ExitStatus.NOT_ENOUGH_EVIDENCE
    return ExitStatus.HOLDS


def verdict_document(verdict: AgentVerdict) -> str:
    """Return the canonical JSON of a verdict: equal verdicts have equal bytes."""
    return canonical_json(verdict.model_dump(mode="json"))


def verdict_digest(verdict: AgentVerdict) -> str:
    """Return the SHA-256 of a verdict's canonical JSON, lower-case hex."""
    return hashlib.sha256(verdict_document(verdict).encode()).hexdigest()
