# SPDX-License-Identifier: Apache-2.0
"""Ask whether something may come into an agent's scope, and let it in: in phase 1, by itself, when the owner says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.verdict.addition import FIRST_PHASE, AdditionEvent, AdditionKind, in_scope
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove, approvers_of, fold_phase
from pilothouse.core.verdict.readiness import verdict_digest
from pilothouse.core.verdict.widening import Widening, judge_widening
from pilothouse.errors import UsageError
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.ground.phase_log import additions_of, phase_events
from pilothouse.workflows.phases.additions import write_move
from pilothouse.workflows.phases.phases import stands_for
from pilothouse.workflows.verdict.assess import assess
from pilothouse.workflows.verdict.stability import read_clock

__all__ = ["Widened", "ask_to_widen"]

WIDENING = "phase.widening"
"""Kind of the row that holds an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widened:
    """What a request led to.

    Attributes:
        answer: Whether the scope may be widened.
        is_open: Whether it was: the addition is in phase 1 from now on.
        waits_for: Whose word lets it in; empty when it is in, or may not come in.
    """

    answer: Widening
    is_open: bool
    waits_for: tuple[str, ...]


def ask_to_widen(
    installation: Installation,
    agent: str,
    what: AdditionKind,
    name: str,
    now: datetime,
    *,
    actor: str,
) -> Widened:
    """Ask for something to come into the scope; the answer is recorded, and the owner's own request lets it in.

    Ask before it stands in the charter: what is in the scope already counts with everything else, and could otherwise be taken
    out of the verdict by a request.

    Args:
        installation: Lake and ledger.
        agent: Agent with a charter in force.
        what: Which kind of thing.
        name: Its name, as the charter will say it.
        now: The moment, aware UTC.
        actor: Who asks: a person id, or a command.

    Raises:
        UsageError: No charter is in force, or it is in the scope already.
    """
    ledger = installation.ledger
    found = assess(installation, agent, now, freeze=False)
    _need_new(ledger, found.charter, what, name)
    state = fold_phase(phase_events(ledger, agent))
    answer = judge_widening(found.charter, found.verdict, state, read_clock(ledger, found.charter, now))
    document = {
        "what": str(what),
        "name": name,
        "allowed": answer.allowed,
        "earliest": answer.earliest.isoformat() if answer.earliest else None,
        "missing": list(answer.missing),
        "verdict": verdict_digest(found.verdict),
    }
    ledger.record(kind=WIDENING, agent=agent, at=now, actor=actor, document=canonical_json(document))
    if not answer.allowed:
        return Widened(answer=answer, is_open=False, waits_for=())
    needed = approvers_of(found.charter, FIRST_PHASE)
    owner = stands_for(found.charter, actor, needed)
    if owner is None:
        return Widened(answer=answer, is_open=False, waits_for=needed)
    move = PhaseEvent(
        move=PhaseMove.ENTERED,
        phase=FIRST_PHASE,
        at=now,
        by=(owner,),
        reason="Phase 3, the stable days and production-grade volume held: it may come into the scope.",
        verdict_digest=verdict_digest(found.verdict),
    )
    write_move(ledger, agent, AdditionEvent(what=what, name=name, move=move))
    return Widened(answer=answer, is_open=True, waits_for=())


def _need_new(ledger: Ledger, charter: Charter, what: AdditionKind, name: str) -> None:
    if any((one.what, one.name) == (what, name) for one in additions_of(ledger, charter.agent)):
        raise UsageError(
            f"the {what} {name!r} was accepted already",
            remedy=f"Where it stands: `pilothouse phase status {charter.agent}`.",
            subject=name,
        )
    if in_scope(charter, what, name):
        raise UsageError(
            f"the charter has the {what} {name!r} in its scope already",
            remedy=f"Ask before it is written there; how it stands: `pilothouse verdict {charter.agent}`.",
            subject=name,
        )
