# SPDX-License-Identifier: Apache-2.0
"""Reads and writes what was done to agents because of their verdicts; each step is a row of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.action.demotion import Act, Move, fold_acts
from pilothouse.core.charter.digest import canonical_json
from pilothouse.ports.ledger import DECISIONS_MAX, Ledger

__all__ = ["ACTED", "ACTOR", "StandingAct", "read_acts", "shown_acts", "write_act"]

ACTED = "verdict.acted"
"""Kind of the row that holds one step."""

ACTOR = "verdict"
"""Who does what a verdict makes necessary, as pauses, moves and incidents name it."""

_LIFTED_BY = {Move.PAUSE: "agent.resumed", Move.ROLL_BACK: "agent.rollback_ended"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAct:
    """A step that stands, with the person who lifted it since.

    Attributes:
        act: The step.
        lifted_by: Who resumed the agent or ended its rollback; empty while the step is in force.
        lifted_at: When, or None.
    """

    act: Act
    lifted_by: str = ""
    lifted_at: datetime | None = None


def read_acts(ledger: Ledger, agent: str) -> Mapping[str, Act]:
    """Return what stands for an agent, by requirement."""
    rows = ledger.decisions(agent, kind=ACTED, limit=DECISIONS_MAX)
    return fold_acts(Act.model_validate_json(row.document) for row in reversed(rows))


def write_act(ledger: Ledger, agent: str, act: Act) -> None:
    """Record one step.

    Args:
        ledger: Where the rows stand.
        agent: Agent id.
        act: The step.
    """
    document = canonical_json(act.model_dump(mode="json"))
    ledger.record(kind=ACTED, agent=agent, at=act.at, actor=ACTOR, document=document)


def shown_acts(ledger: Ledger, agent: str) -> tuple[StandingAct, ...]:
    """Return what stands for an agent and whether a person has lifted it, newest first."""
    found = sorted(read_acts(ledger, agent).values(), key=lambda act: (act.at, act.requirement), reverse=True)
    lifted = {kind: ledger.decisions(agent, kind=kind, limit=1) for kind in _LIFTED_BY.values()}
    shown = []
    for act in found:
        rows = lifted.get(_LIFTED_BY.get(act.move, ""), ())
        later = next((row for row in rows if row.at >= act.at), None)
        shown.append(
            StandingAct(
                act=act, lifted_by=later.actor if later else "", lifted_at=later.at if later else None
            )
        )
    return tuple(shown)
