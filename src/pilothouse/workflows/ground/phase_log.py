# SPDX-License-Identifier: Apache-2.0
"""Reads what the ledger holds about the phases of an agent and of what came into its scope; writing is for `phases.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.verdict.addition import Addition, AdditionEvent, fold_additions
from pilothouse.core.verdict.phases import (
    APPROVAL_MAX_AGE,
    NEXT_PHASE,
    Answer,
    PhaseEvent,
    PhaseState,
    fold_phase,
)
from pilothouse.ports.ledger import DECISIONS_MAX, Decision, Ledger

__all__ = [
    "APPROVED",
    "LOOKED",
    "MOVED",
    "OpenRequest",
    "additions_of",
    "kind_for",
    "looks_taken",
    "open_request",
    "phase_at",
    "phase_events",
    "phase_now",
    "rows_about",
]

MOVED = "phase.moved"
LOOKED = "phase.looked"
APPROVED = "phase.approved"

_ADDED = ".added"
"""Ends the kinds of rows about additions, so that no row of theirs is taken for one of the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
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


def kind_for(kind: str, *, is_addition: bool) -> str:
    """Return the kind of the rows about the agent itself, or about additions to its scope.

    Args:
        kind: For example `MOVED`.
        is_addition: Whether it is about one of these.
    """
    return kind + _ADDED if is_addition else kind


def rows_about(ledger: Ledger, agent: str, kind: str, addition: Addition | None) -> Sequence[Decision]:
    """Return the rows of a kind about the agent itself, or about one addition, newest first.

    Args:
        ledger: Where they stand.
        agent: Agent id.
        kind: For example `MOVED`.
        addition: The addition, or None for the agent.
    """
    rows = ledger.decisions(agent, kind=kind_for(kind, is_addition=addition is not None), limit=DECISIONS_MAX)
    if addition is None:
        return rows
    asked = (str(addition.what), addition.name)
    return [row for row in rows if _subject(row) == asked]


def _subject(row: Decision) -> tuple[str, str]:
    document = json.loads(row.document)
    return document["what"], document["name"]


def phase_events(ledger: Ledger, agent: str, *, at: datetime | None = None) -> tuple[PhaseEvent, ...]:
    """Return what moved an agent between phases, oldest first.

    Args:
        ledger: Where it stands.
        agent: Agent id.
        at: Leave out what came later; None for everything.
    """
    rows = ledger.decisions(agent, kind=MOVED, limit=DECISIONS_MAX)
    events = (
        PhaseEvent.model_validate_json(row.document).model_copy(update={"sequence": row.sequence})
        for row in reversed(rows)
    )
    return tuple(event for event in events if at is None or event.at <= at)


def additions_of(ledger: Ledger, agent: str, *, at: datetime | None = None) -> tuple[Addition, ...]:
    """Return what came into an agent's scope, the first accepted first, also what has joined it since.

    Args:
        ledger: Where it stands.
        agent: Agent id.
        at: Leave out what came later; None for everything.
    """
    rows = ledger.decisions(agent, kind=kind_for(MOVED, is_addition=True), limit=DECISIONS_MAX)
    events = (_added(row) for row in rows)
    return fold_additions(event for event in events if at is None or event.move.at <= at)


def _added(row: Decision) -> AdditionEvent:
    found = AdditionEvent.model_validate_json(row.document)
    return found.model_copy(update={"move": found.move.model_copy(update={"sequence": row.sequence})})


def looks_taken(
    ledger: Ledger, agent: str, state: PhaseState, addition: Addition | None = None
) -> tuple[datetime, ...]:
    """Return when planned looks at the gate ahead were taken since the phase in force began, oldest first.

    A look says which gate it was at: the one that let the agent in may bear the moment in which the phase began.
    """
    ahead = NEXT_PHASE.get(state.phase)
    rows = rows_about(ledger, agent, LOOKED, addition)
    return tuple(
        row.at
        for row in reversed(rows)
        if (state.since is None or row.at >= state.since) and json.loads(row.document)["target"] == ahead
    )


def open_request(
    ledger: Ledger, agent: str, now: datetime, addition: Addition | None = None
) -> OpenRequest | None:
    """Return the request that approvals would answer, or None.

    Args:
        ledger: Where looks and approvals stand.
        agent: Agent id.
        now: The moment; an older request than `APPROVAL_MAX_AGE` is no longer open.
        addition: What came into the scope and asks for itself; None for the agent.
    """
    looked = rows_about(ledger, agent, LOOKED, addition)
    if not looked or now - looked[0].at > APPROVAL_MAX_AGE:
        return None
    document = json.loads(looked[0].document)
    if document["answer"] != Answer.ELIGIBLE:
        return None
    moved = rows_about(ledger, agent, MOVED, addition)
    if moved and moved[0].sequence > looked[0].sequence:
        return None
    said = rows_about(ledger, agent, APPROVED, addition)
    by = [row.actor for row in reversed(said) if json.loads(row.document)["request"] == looked[0].sequence]
    return OpenRequest(
        sequence=looked[0].sequence,
        at=looked[0].at,
        target=document["target"],
        verdict_digest=document["verdict"],
        approved_by=tuple(dict.fromkeys(by)),
    )


def phase_at(ledger: Ledger, agent: str, moment: datetime) -> PhaseState:
    """Return the phase in force at a moment."""
    return fold_phase(phase_events(ledger, agent, at=moment))


def phase_now(ledger: Ledger, agent: str) -> PhaseName:
    """Return the phase in force, from the newest move alone: cheap enough to ask every second."""
    rows = ledger.decisions(agent, kind=MOVED, limit=1)
    return fold_phase(PhaseEvent.model_validate_json(row.document) for row in rows).phase
