# SPDX-License-Identifier: Apache-2.0
"""Reads what the ledger holds about the phases of an agent; writing is for `phases.py`."""

from __future__ import annotations

from datetime import datetime

from pilothouse.core.charter.operations import PhaseName
from pilothouse.core.verdict.phases import PhaseEvent, PhaseState, fold_phase
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger

__all__ = ["LOOKED", "MOVED", "looks_taken", "phase_at", "phase_events", "phase_now"]

MOVED = "phase.moved"
LOOKED = "phase.looked"


def phase_events(ledger: Ledger, agent: str, *, at: datetime | None = None) -> tuple[PhaseEvent, ...]:
    """Return what moved an agent between phases, oldest first.

    Args:
        ledger: Where it stands.
        agent: Agent id.
        at: Leave out what came later; None for everything.
    """
    rows = ledger.decisions(agent, kind=MOVED, limit=DECISIONS_MAX)
    events = (PhaseEvent.model_validate_json(row.document) for row in reversed(rows))
    return tuple(event for event in events if at is None or event.at <= at)


def looks_taken(ledger: Ledger, agent: str, state: PhaseState) -> tuple[datetime, ...]:
    """Return when planned looks were taken since the phase in force began, oldest first."""
    rows = ledger.decisions(agent, kind=LOOKED, limit=DECISIONS_MAX)
    return tuple(row.at for row in reversed(rows) if state.since is None or row.at >= state.since)


def phase_at(ledger: Ledger, agent: str, moment: datetime) -> PhaseState:
    """Return the phase in force at a moment.

    Args:
        ledger: Where it stands.
        agent: Agent id.
        moment: Aware UTC.
    """
    return fold_phase(phase_events(ledger, agent, at=moment))


def phase_now(ledger: Ledger, agent: str) -> PhaseName:
    """Return the phase in force, from the newest move alone: cheap enough to ask every second.

    Args:
        ledger: Where it stands.
        agent: Agent id.
    """
    rows = ledger.decisions(agent, kind=MOVED, limit=1)
    return fold_phase(PhaseEvent.model_validate_json(row.document) for row in rows).phase
