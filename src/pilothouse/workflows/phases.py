# SPDX-License-Identifier: Apache-2.0
"""Move an agent through its phases: request, look, approve, fall back; each step is a row of the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.verdict.phases import (
    APPROVAL_MAX_AGE,
    LOOK_LEVEL,
    Answer,
    PhaseEvent,
    PhaseMove,
    Promotion,
    approvers_of,
    fold_phase,
    judge_promotion,
)
from pilothouse.core.verdict.readiness import verdict_digest
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.core.verdict.widening import Widening, judge_widening
from pilothouse.errors import Conflict, Denied, UsageError
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger
from pilothouse.workflows.assess import assess
from pilothouse.workflows.in_force import charter_in_force
from pilothouse.workflows.installation import Installation
from pilothouse.workflows.phase_log import LOOKED, MOVED, looks_taken, phase_events
from pilothouse.workflows.stability import read_clock

__all__ = [
    "Approved",
    "approve_phase",
    "ask_to_widen",
    "demote_phase",
    "open_request",
    "request_phase",
    "roll_back_phase",
]

APPROVED = "phase.approved"
WIDENING = "phase.widening"

_ORDER: tuple[PhaseName, ...] = ("pilot", "1", "2", "3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What an approval led to.

    Attributes:
        target: The phase asked for.
        approved_by: Who has approved so far.
        waiting_for: Whose approval is still needed; empty when the phase was entered.
    """

    target: PhaseName
    approved_by: tuple[str, ...]
    waiting_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """The last look that found the gate open.

    Attributes:
        sequence: Its row.
        at: When.
        target: The phase asked for.
        verdict_digest: The verdict it saw.
        approved_by: Who has approved since.
    """

    sequence: int
    at: datetime
    target: PhaseName
    verdict_digest: str
    approved_by: tuple[str, ...]


def request_phase(
    installation: Installation, agent: str, target: PhaseName, now: datetime, *, actor: str
) -> Promotion:
    """Ask whether an agent may enter a phase; a look that is due is spent, whatever it finds.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        target: The phase asked for.
        now: The moment, aware UTC.
        actor: Who asks, for the record.

    Raises:
        UsageError: No charter is in force.
    """
    ledger = installation.ledger
    state = fold_phase(phase_events(ledger, agent))
    found = assess(installation, agent, now, freeze=False, level=LOOK_LEVEL)
    answer = judge_promotion(
        found.charter, found.verdict, state, target, looks=looks_taken(ledger, agent, state)
    )
    if answer.look:
        document = {
            "target": target,
            "look": answer.look,
            "answer": str(answer.answer),
            "missing": list(answer.missing),
            "waived": list(answer.waived),
            "verdict": verdict_digest(found.verdict),
        }
        ledger.record(kind=LOOKED, agent=agent, at=now, actor=actor, document=canonical_json(document))
    return answer


def open_request(ledger: Ledger, agent: str, now: datetime) -> _Request | None:
    """Return the request that approvals would answer, or None.

    Args:
        ledger: Where looks and approvals stand.
        agent: Agent id.
        now: The moment; an older request than `APPROVAL_MAX_AGE` is no longer open.
    """
    looked = ledger.decisions(agent, kind=LOOKED, limit=1)
    if not looked or now - looked[0].at > APPROVAL_MAX_AGE:
        return None
    document = json.loads(looked[0].document)
    if document["answer"] != Answer.ELIGIBLE:
        return None
    moved = ledger.decisions(agent, kind=MOVED, limit=1)
    if moved and moved[0].sequence > looked[0].sequence:
        return None
    said = ledger.decisions(agent, kind=APPROVED, limit=DECISIONS_MAX)
    by = [row.actor for row in reversed(said) if json.loads(row.document)["request"] == looked[0].sequence]
    return _Request(
        sequence=looked[0].sequence,
        at=looked[0].at,
        target=document["target"],
        verdict_digest=document["verdict"],
        approved_by=tuple(dict.fromkeys(by)),
    )


def approve_phase(installation: Installation, agent: str, person: str, now: datetime) -> Approved:
    """Approve the open request; with the last approval needed the phase is entered.

    What held at the look must still hold: evidence that lapsed meanwhile closes the gate again.

    Args:
        installation: Lake and ledger.
        agent: Agent id.
        person: Who approves, a person id of the charter.
        now: The moment, aware UTC.

    Raises:
        Conflict: No request waits for approval, or the gate does not hold any more.
        Denied: The approval of this person is not the one that is needed.
    """
    ledger = installation.ledger
    waiting = open_request(ledger, agent, now)
    if waiting is None:
        raise Conflict(
            f"no request of {agent!r} waits for an approval",
            remedy="Ask first: `pilothouse phase request PHASE`.",
            subject=agent,
        )
    found = assess(installation, agent, now, freeze=True)
    needed = approvers_of(found.charter, waiting.target)
    principal = _principal(found.charter, person, needed)
    if principal is None:
        raise Denied(
            f"{person!r} cannot approve phase {waiting.target}: it needs {' and '.join(needed) or 'an owner'}",
            remedy="`pilothouse phase status` names who is asked.",
            subject=person,
        )
    _still_open(found.verdict, waiting)
    if principal not in waiting.approved_by:
        document = canonical_json({"request": waiting.sequence, "target": waiting.target, "by": person})
        ledger.record(kind=APPROVED, agent=agent, at=now, actor=principal, document=document)
    by = tuple(dict.fromkeys((*waiting.approved_by, principal)))
    missing = tuple(one for one in needed if one not in by)
    if not missing:
        event = PhaseEvent(
            move=PhaseMove.ENTERED,
            phase=waiting.target,
            at=now,
            by=by,
            reason=f"The gate of phase {waiting.target} held and was approved.",
            verdict_digest=waiting.verdict_digest,
        )
        _move(ledger, agent, event)
    return Approved(target=waiting.target, approved_by=by, waiting_for=missing)


def roll_back_phase(
    installation: Installation,
    agent: str,
    now: datetime,
    *,
    person: str,
    reason: str,
    to: PhaseName | None = None,
) -> PhaseEvent:
    """Take an agent back to an earlier phase, or begin the present one anew.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        now: The moment, aware UTC.
        person: Who does it: whoever may operate the agent.
        reason: Why, in one sentence.
        to: The phase; None for the one before.

    Raises:
        UsageError: No charter is in force, or the phase lies ahead.
        Denied: This person may not.
    """
    ledger = installation.ledger
    charter = charter_in_force(ledger, agent)
    if not may_act(charter, person, Action.OPERATE):
        raise Denied(
            f"{person!r} may not roll {agent!r} back",
            remedy="The owner, whoever answers for incidents, and operations may: `pilothouse phase rollback --as PERSON`.",
            subject=person,
        )
    state = fold_phase(phase_events(ledger, agent))
    here = _ORDER.index(state.phase)
    target = _ORDER[max(0, here - 1)] if to is None else to
    if _ORDER.index(target) > here:
        raise UsageError(
            f"phase {target} lies ahead of {state.phase}, it cannot be rolled back to",
            remedy=f"Ask for it: `pilothouse phase request {target}`.",
            subject=agent,
        )
    event = PhaseEvent(move=PhaseMove.ROLLED_BACK, phase=target, at=now, by=(person,), reason=reason)
    _move(ledger, agent, event)
    return event


def ask_to_widen(installation: Installation, agent: str, what: str, now: datetime, *, actor: str) -> Widening:
    """Ask whether the scope may be widened by a task type, a tool or a group of users; the answer is recorded.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        what: What would come in, for example `task type refunds`.
        now: The moment, aware UTC.
        actor: Who asks.

    Raises:
        UsageError: No charter is in force.
    """
    ledger = installation.ledger
    found = assess(installation, agent, now, freeze=False)
    state = fold_phase(phase_events(ledger, agent))
    answer = judge_widening(found.charter, found.verdict, state, read_clock(ledger, found.charter, now))
    document = {
        "what": what,
        "allowed": answer.allowed,
        "earliest": answer.earliest.isoformat() if answer.earliest else None,
        "missing": list(answer.missing),
        "verdict": verdict_digest(found.verdict),
    }
    ledger.record(kind=WIDENING, agent=agent, at=now, actor=actor, document=canonical_json(document))
    return answer


def demote_phase(
    ledger: Ledger, agent: str, now: datetime, *, to: PhaseName, actor: str, reason: str
) -> PhaseEvent | None:
    """Let a phase fall because of what was measured; None when the agent is there or below already.

    Args:
        ledger: Where moves stand.
        agent: Agent id.
        now: The moment, aware UTC.
        to: The phase it falls to.
        actor: The part of the system that decides.
        reason: Why, in one sentence.
    """
    state = fold_phase(phase_events(ledger, agent))
    if _ORDER.index(state.phase) <= _ORDER.index(to):
        return None
    event = PhaseEvent(move=PhaseMove.DEMOTED, phase=to, at=now, by=(actor,), reason=reason[:500])
    _move(ledger, agent, event)
    return event


def _move(ledger: Ledger, agent: str, event: PhaseEvent) -> None:
    document = canonical_json(event.model_dump(mode="json"))
    ledger.record(kind=MOVED, agent=agent, at=event.at, actor=", ".join(event.by), document=document)


def _principal(charter: Charter, person: str, needed: Sequence[str]) -> str | None:
    """Return for whom a person approves: for themselves, or for whom they are declared to stand in."""
    if person in needed:
        return person
    return next(
        (one for one in needed if one in charter.people and charter.people[one].substitute == person), None
    )


def _still_open(verdict: AgentVerdict, waiting: _Request) -> None:
    gate = next(found for found in verdict.gates if found.gate == waiting.target)
    waived = {found.requirement for found in verdict.requirements if found.waiver is not None}
    closed = [name for name in (*gate.breached, *gate.no_evidence) if name not in waived]
    if closed:
        raise Conflict(
            f"gate {gate.gate} held on {waiting.at:%Y-%m-%d} and does not any more: {', '.join(closed[:5])}",
            remedy="`pilothouse verdict --plan` says what to do.",
            subject=verdict.agent,
        )
