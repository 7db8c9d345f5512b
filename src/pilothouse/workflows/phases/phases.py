# SPDX-License-Identifier: Apache-2.0
"""Move an agent through its phases: request, look, approve, fall back; each step is a row of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.charter.operations import PHASES, PhaseName
from pilothouse.core.charter.powers import Action, may_act
from pilothouse.core.dates import day
from pilothouse.core.verdict.addition import Addition, AdditionEvent, in_scope
from pilothouse.core.verdict.phases import (
    LOOK_LEVEL,
    Answer,
    PhaseEvent,
    PhaseMove,
    PhaseState,
    Promotion,
    approvers_of,
    fold_phase,
    judge_promotion,
)
from pilothouse.core.verdict.readiness import verdict_digest
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import Conflict, Denied, UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.reports.words import phase_words
from pilothouse.workflows.ground.decision_log import newest_sequence
from pilothouse.workflows.ground.in_force import charter_in_force
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import (
    APPROVED,
    LOOKED,
    MOVED,
    OpenRequest,
    kind_for,
    looks_taken,
    open_request,
    phase_events,
    phase_now,
)
from pilothouse.workflows.phases.additions import verdict_about, write_move
from pilothouse.workflows.verdict.assess import assess

__all__ = [
    "Approved",
    "approve_phase",
    "demote_phase",
    "request_phase",
    "roll_back_phase",
    "stands_for",
]


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


def request_phase(
    installation: Installation,
    agent: str,
    target: PhaseName,
    now: datetime,
    *,
    actor: str,
    person: str | None = None,
    addition: Addition | None = None,
) -> Promotion:
    """Ask whether an agent, or an addition to its scope, may enter a phase; a look that is due is spent, whatever it finds.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        target: The phase asked for.
        now: The moment, aware UTC.
        actor: Who asks, for the record.
        person: The person of the charter who asks, who must be one that may operate it; None for a program, which nobody sent.
        addition: What came into the scope and asks for itself; None for the agent.

    Raises:
        UsageError: No charter is in force.
        Denied: This person may not.
    """
    ledger = installation.ledger
    if person is not None:
        _need_operator(
            charter_in_force(ledger, agent), person, "ask for a phase of", "phase request PHASE --as PERSON"
        )
    state = _state(ledger, agent, addition)
    found = assess(installation, agent, now, freeze=False, level=LOOK_LEVEL)
    closed = None if addition is None else _not_open(ledger, found.charter, addition, target)
    if closed is not None:
        return Promotion(answer=Answer.REFUSED, target=target, sentence=closed)
    verdict = verdict_about(found, addition)
    answer = judge_promotion(
        found.charter,
        verdict,
        state,
        target,
        looks=looks_taken(ledger, agent, state, addition),
        of="agent" if addition is None else addition.label,
    )
    if answer.look:
        document = {
            **_subject(addition),
            "target": target,
            "look": answer.look,
            "answer": str(answer.answer),
            "missing": list(answer.missing),
            "waived": list(answer.waived),
            "verdict": verdict_digest(verdict),
        }
        kind = kind_for(LOOKED, is_addition=addition is not None)
        ledger.record(kind=kind, agent=agent, at=now, actor=actor, document=canonical_json(document))
    return answer


def _state(ledger: Ledger, agent: str, addition: Addition | None) -> PhaseState:
    return fold_phase(phase_events(ledger, agent)) if addition is None else addition.state


def _subject(addition: Addition | None) -> dict[str, str]:
    return {} if addition is None else {"what": str(addition.what), "name": addition.name}


def _not_open(ledger: Ledger, charter: Charter, addition: Addition, target: PhaseName) -> str | None:
    """Return why an addition cannot be asked for at all, or None."""
    if addition.joined_at is not None:
        return f"The {addition.label} joined the scope on {day(addition.joined_at)}; it moves with the agent."
    if not in_scope(charter, addition.what, addition.name):
        return f"The charter does not speak of {addition.label} yet: write it there, then `pilothouse check`."
    here = phase_now(ledger, charter.agent)
    if PHASES.index(target) > PHASES.index(here):
        return f"The agent itself is in phase {here}, and nothing that came into its scope goes ahead of it."
    return None


def approve_phase(
    installation: Installation,
    agent: str,
    person: str,
    now: datetime,
    *,
    addition: Addition | None = None,
    seen: str | None = None,
) -> Approved:
    """Approve the open request; with the last approval needed the phase is entered.

    What held at the look must still hold: evidence that lapsed meanwhile closes the gate again.

    Args:
        installation: Lake and ledger.
        agent: Agent id.
        person: Who approves, a person id of the charter.
        now: The moment, aware UTC.
        addition: What came into the scope and asks for itself; None for the agent.
        seen: Number of the request that was shown, or None where none was.

    Raises:
        Conflict: No request waits for approval, another one than was shown, the gate does not hold any more, or the phase
            moved meanwhile.
        Denied: The approval of this person is not the one that is needed.
    """
    ledger = installation.ledger
    waiting = open_request(ledger, agent, now, addition)
    if waiting is None:
        raise Conflict(
            f"no request of {agent!r} waits for an approval",
            remedy="Ask first: `pilothouse phase request PHASE`.",
            subject=agent,
        )
    if seen is not None and seen != str(waiting.sequence):
        raise Conflict(
            f"another request of {agent!r} waits now than the one that was shown",
            remedy=f"Open the page again and read what phase {waiting.target} asks.",
            subject=agent,
        )
    found = assess(installation, agent, now, freeze=True)
    needed = approvers_of(found.charter, waiting.target)
    principal = stands_for(found.charter, person, needed)
    if principal is None:
        raise Denied(
            f"{person!r} cannot approve phase {waiting.target}: it needs {' and '.join(needed) or 'an owner'}",
            remedy="`pilothouse phase status` names who is asked.",
            subject=person,
        )
    _still_open(verdict_about(found, addition), waiting)
    closed = None if addition is None else _not_open(ledger, found.charter, addition, waiting.target)
    if addition is not None and closed is not None:
        raise Conflict(
            f"{addition.label} may not enter phase {waiting.target} any more",
            remedy=closed,
            subject=addition.name,
        )
    _still_asked(ledger, agent, now, addition, waiting)
    if principal not in waiting.approved_by:
        document = {**_subject(addition), "request": waiting.sequence, "target": waiting.target, "by": person}
        kind = kind_for(APPROVED, is_addition=addition is not None)
        ledger.record(kind=kind, agent=agent, at=now, actor=principal, document=canonical_json(document))
    # Of two who approve at once, each sees the other's approval here; before, both waited for one that was there.
    after = _newest_move(ledger, agent, addition)
    by = _still_asked(ledger, agent, now, addition, waiting).approved_by
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
        try:
            _move(ledger, agent, event, addition, after=after)
        except Conflict:  # of two who see all approvals at once, the other one may have entered it
            if _state(ledger, agent, addition).phase != waiting.target:
                raise
    return Approved(target=waiting.target, approved_by=by, waiting_for=missing)


def _still_asked(
    ledger: Ledger, agent: str, now: datetime, addition: Addition | None, waiting: OpenRequest
) -> OpenRequest:
    """Return a request as it stands now; judging took seconds, in which the phase may have fallen.

    Raises:
        Conflict: The phase moved meanwhile, or somebody asked again.
    """
    there = open_request(ledger, agent, now, addition)
    if there is None or there.sequence != waiting.sequence:
        raise Conflict(
            f"the phase of {agent!r} moved while the approval was judged",
            remedy="`pilothouse phase status` says where it is; ask again: `pilothouse phase request PHASE`.",
            subject=agent,
        )
    return there


def roll_back_phase(
    installation: Installation,
    agent: str,
    now: datetime,
    *,
    person: str,
    reason: str,
    to: PhaseName | None = None,
    addition: Addition | None = None,
    seen: str | None = None,
) -> PhaseEvent:
    """Take an agent, or an addition to its scope, back to an earlier phase, or begin the present one anew.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        now: The moment, aware UTC.
        person: Who does it: whoever may operate the agent.
        reason: Why, in one sentence.
        to: The phase; None for the one before.
        addition: What came into the scope; None for the agent.
        seen: The phase that was shown, or None where none was.

    Raises:
        UsageError: No charter is in force, the phase lies ahead, or the addition is part of the old scope by now.
        Denied: This person may not.
        Conflict: It is in another phase than was shown.
    """
    ledger = installation.ledger
    charter = charter_in_force(ledger, agent)
    _need_operator(charter, person, "roll back", "phase rollback --as PERSON --reason WHY")
    if addition is not None and addition.joined_at is not None:
        raise UsageError(
            f"the {addition.label} joined the scope on {day(addition.joined_at)}",
            remedy=f"It moves with the agent: `pilothouse phase rollback {agent} --as PERSON --reason WHY`.",
            subject=addition.name,
        )
    after = _newest_move(ledger, agent, addition)
    state = _state(ledger, agent, addition)
    if seen is not None and seen != state.phase:
        raise Conflict(
            f"{agent!r} is not in the phase that was shown any more, it is in {phase_words(state.phase)}",
            remedy="Open the page again; `pilothouse phase status` says what moved it.",
            subject=agent,
        )
    here = PHASES.index(state.phase)
    target = PHASES[max(0, here - 1)] if to is None else to
    if PHASES.index(target) > here:
        raise UsageError(
            f"phase {target} lies ahead of {state.phase}, it cannot be rolled back to",
            remedy=f"Ask for it: `pilothouse phase request {target}`.",
            subject=agent,
        )
    event = PhaseEvent(move=PhaseMove.ROLLED_BACK, phase=target, at=now, by=(person,), reason=reason)
    _move(ledger, agent, event, addition, after=after)
    return event


def _need_operator(charter: Charter, person: str, what: str, command: str) -> None:
    """Refuse somebody who may not operate the agent: a planned look is spent by whoever asks."""
    if not may_act(charter, person, Action.OPERATE):
        raise Denied(
            f"{person!r} may not {what} {charter.agent!r}",
            remedy=f"The owner, whoever answers for incidents, and operations may: `pilothouse {command}`.",
            subject=person,
        )


def demote_phase(
    ledger: Ledger,
    agent: str,
    now: datetime,
    *,
    to: PhaseName,
    actor: str,
    reason: str,
    addition: Addition | None = None,
) -> PhaseEvent | None:
    """Let a phase fall because of what was measured; None when the agent is there or below already.

    Args:
        ledger: Where moves stand.
        agent: Agent id.
        now: The moment, aware UTC.
        to: The phase it falls to.
        actor: The part of the system that decides.
        reason: Why, in one sentence.
        addition: What came into the scope; None for the agent.
    """
    event = PhaseEvent(move=PhaseMove.DEMOTED, phase=to, at=now, by=(actor,), reason=reason[:500])
    while True:
        after = _newest_move(ledger, agent, addition)
        if PHASES.index(_state(ledger, agent, addition).phase) <= PHASES.index(to):
            return None
        with suppress(Conflict):  # somebody moved it meanwhile, perhaps below: that is looked at again
            _move(ledger, agent, event, addition, after=after)
            return event


def _newest_move(ledger: Ledger, agent: str, addition: Addition | None) -> int:
    """Return which move is the newest, before what they come to is read: a move that rests on less would lift what has fallen."""
    return newest_sequence(ledger, agent, kind_for(MOVED, is_addition=addition is not None))


def _move(ledger: Ledger, agent: str, event: PhaseEvent, addition: Addition | None, *, after: int) -> None:
    if addition is not None:
        move = AdditionEvent(what=addition.what, name=addition.name, move=event)
        write_move(ledger, agent, move, after=after)
        return
    document = canonical_json(event.model_dump(mode="json"))
    actor = ", ".join(event.by)
    ledger.record(kind=MOVED, agent=agent, at=event.at, actor=actor, document=document, after=after)


def stands_for(charter: Charter, person: str, needed: Sequence[str]) -> str | None:
    """Return for whom a person approves: for themselves, or for whom they are declared to stand in.

    Args:
        charter: The charter in force.
        person: Who approves.
        needed: Whose approval is needed.

    Returns:
        One of `needed`, or None for somebody who stands in for none of them.
    """
    if person in needed:
        return person
    return next(
        (one for one in needed if one in charter.people and charter.people[one].substitute == person), None
    )


def _still_open(verdict: AgentVerdict, waiting: OpenRequest) -> None:
    gate = next(found for found in verdict.gates if found.gate == waiting.target)
    if gate.closed:
        raise Conflict(
            f"gate {gate.gate} held on {day(waiting.at)} and does not any more: {', '.join(gate.closed[:5])}",
            remedy="`pilothouse verdict --plan` says what to do.",
            subject=verdict.agent,
        )
