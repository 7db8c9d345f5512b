# SPDX-License-Identifier: Apache-2.0
"""Decide the verdict about one agent from charter and evidence: pure, and independent of the order of arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.operations import NUMBERED_PHASES, PhaseName
from pilothouse.core.evidence.admission import admit_evidence
from pilothouse.core.evidence.evidence import Evidence
from pilothouse.core.verdict.deciding import (
    Before,
    Decided,
    PhaseItems,
    decide_all,
    domain_verdict,
    gate_verdict,
    needed_by,
    word_of,
)
from pilothouse.core.verdict.declared import objections
from pilothouse.core.verdict.docket import Docket, judge_all
from pilothouse.core.verdict.framework import DOMAINS
from pilothouse.core.verdict.rules import LEVEL
from pilothouse.core.verdict.ruling import severity_key
from pilothouse.core.verdict.sentence import first_sentence, person_names
from pilothouse.core.verdict.verdict import AgentVerdict, ItemVerdict, RequirementVerdict, Status
from pilothouse.core.verdict.waiver import Waiver
from pilothouse.errors import ExitStatus

__all__ = ["Conclusion", "conclude", "decide", "exit_status", "verdict_digest", "verdict_document"]


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
    """Decide what holds, what is breached, and what is unknown about one agent.

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
    return conclude(docket, charter, now, phase=phase, waivers=waivers, refused=admitted.refused).verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """A verdict, and the next gate.

    Attributes:
        verdict: The verdict.
        ahead: Every requirement as the next gate asks for it, which may be with more items; as the phase does in phase 3.
    """

    verdict: AgentVerdict
    ahead: tuple[RequirementVerdict, ...]


def conclude(
    docket: Docket,
    charter: Charter,
    now: datetime,
    *,
    phase: PhaseName = "pilot",
    waivers: tuple[Waiver, ...] = (),
    refused: tuple[str, ...] = (),
    is_elsewhere: Callable[[ItemVerdict], bool] | None = None,
    is_always_asked: Callable[[ItemVerdict], bool] | None = None,
) -> Conclusion:
    """Return the verdict at a moment from items that are decided.

    Args:
        docket: The items, decided on the records that count.
        charter: The charter that they were decided under.
        now: The moment, aware UTC.
        phase: Phase the agent is in.
        waivers: Signed permissions.
        refused: Why records could not count.
        is_elsewhere: Tells items that another verdict speaks of; None where this one speaks of all.
        is_always_asked: Tells items of phase 3 that this verdict asks for in every phase; None for none.

    Returns:
        The same verdict, to its bytes, as `decide` gives on all records at this moment.
    """
    inner: PhaseName = "1" if phase == "pilot" else phase
    following: PhaseName | None = {"pilot": "1", "1": "2", "2": "3"}.get(phase)  # type: ignore[assignment]  # values are phases
    judged = [ruling.at(now) for ruling in docket.rulings]
    elsewhere = (
        frozenset()
        if is_elsewhere is None
        else frozenset(place for place, one in enumerate(judged) if is_elsewhere(one.item))
    )
    always = {
        name: tuple(place for place in own if is_always_asked and is_always_asked(judged[place].item))
        for name, own in docket.places[NUMBERED_PHASES[-1]].items()
    }
    by_phase: dict[str, dict[str, Decided]] = {}
    before: dict[str, Before] = {}
    for scope in dict.fromkeys((inner, *NUMBERED_PHASES)):
        asked = PhaseItems(
            charter=charter,
            now=now,
            version=docket.in_force.version,
            waivers=waivers,
            objections=objections(charter, now, scope),
            judged={
                name: [judged[place] for place in _asked(own, always[name]) if place not in elsewhere]
                for name, own in docket.places[scope].items()
            },
        )
        by_phase[scope] = decide_all(asked, before)
    decided = by_phase[inner]
    order = dict.fromkeys((inner, following or inner, *NUMBERED_PHASES, "R", "X"))
    gates = tuple(gate_verdict(gate, by_phase.get(gate, decided)) for gate in order)
    needed = needed_by(inner, decided)
    worst = min(needed, key=lambda one: severity_key(one.judged))
    counted = [item for one in needed for item in one.verdict.items if item.status in _STANDING]
    tightest = max((one.judged for one in needed), key=lambda found: found.share_lost)
    next_lapse = min((item.lapses_at for item in counted if item.lapses_at), default=None)
    verdict = AgentVerdict(
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
            tightest.item,
            needed=tuple(one.verdict for one in needed),
            phase=phase,
            nothing_known=not docket.knows_anything,
            next_lapse_at=next_lapse,
            names=person_names(charter),
        ),
        next_gate=following,
        word=word_of(needed),
        next_lapse_at=next_lapse,
        domains=tuple(
            domain_verdict(domain, following or inner, by_phase[following or inner]) for domain in DOMAINS
        ),
        gates=gates,
        requirements=tuple(one.verdict for one in decided.values()),
        notes=refused,
    )
    return Conclusion(
        verdict=verdict, ahead=tuple(one.verdict for one in by_phase[following or inner].values())
    )


def _asked(own: tuple[int, ...], always: tuple[int, ...]) -> tuple[int, ...]:
    """Return the items of a phase, those of every phase included, in the order of the docket."""
    return (*own, *(place for place in always if place not in own))


_STANDING = frozenset({Status.HOLDS, Status.AT_RISK})


def exit_status(verdict: AgentVerdict, *, strict: bool = False) -> ExitStatus:
    """Return the exit status of a verdict.

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
    # What a verdict does not have is left out, so that it is written as it always was.
    without: dict[str, Any] = {} if verdict.additions else {"additions": True}
    if all(one.part_waiver is None for one in verdict.requirements):
        without["requirements"] = {"__all__": {"part_waiver"}}
    return canonical_json(verdict.model_dump(mode="json", exclude=without))


def verdict_digest(verdict: AgentVerdict) -> str:
    """Return the SHA-256 of a verdict's canonical JSON, lower-case hex."""
    return hashlib.sha256(verdict_document(verdict).encode()).hexdigest()
