# SPDX-License-Identifier: Apache-2.0
"""Verdicts about additions to the scope, and which items the agent's own verdict leaves to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.operations import NUMBERED_PHASES
from pilothouse.core.verdict.addition import Addition, AdditionKind, in_scope
from pilothouse.core.verdict.deciding import WORDS
from pilothouse.core.verdict.docket import Docket
from pilothouse.core.verdict.readiness import conclude
from pilothouse.core.verdict.verdict import (
    STOPPING_PARTS,
    AdditionVerdict,
    AgentVerdict,
    ItemVerdict,
    Reason,
    Status,
)
from pilothouse.core.verdict.waiver import Waiver

__all__ = ["conclude_addition", "counts_apart", "summarise_addition"]


def counts_apart(apart: Sequence[Addition], charter: Charter) -> Callable[[ItemVerdict], bool] | None:
    """Return the predicate of items that an agent's verdict leaves to its additions; None where there are none.

    A breach that must stop the agent at once is never left to them, wherever it happens.

    Args:
        apart: What came into the scope and has not joined it yet.
        charter: The charter in force.
    """

    def is_elsewhere(item: ItemVerdict) -> bool:
        stops = item.status is Status.BREACHED and (item.scope.part or "").startswith(STOPPING_PARTS)
        return not stops and any(one.owns(item.scope, charter) for one in apart)

    return is_elsewhere if apart else None


def conclude_addition(
    docket: Docket,
    charter: Charter,
    now: datetime,
    addition: Addition,
    *,
    apart: Sequence[Addition],
    waivers: tuple[Waiver, ...] = (),
) -> AgentVerdict:
    """Return the verdict about an addition in its own phase: its items, and the shared ones.

    Its own items are asked for in every phase, also those of an integration that the charter leaves to phase 3.

    Args:
        docket: The items of the agent.
        charter: The charter that they were decided under.
        now: The moment, aware UTC.
        addition: The addition.
        apart: Everything that counts apart; what speaks of another addition alone is left out.
        waivers: Signed permissions.
    """
    others = [one for one in apart if one != addition]

    def is_elsewhere(item: ItemVerdict) -> bool:
        if addition.owns(item.scope, charter):
            return False
        is_of_another_type = addition.what is AdditionKind.TASK_TYPE and item.scope.task_type is not None
        return is_of_another_type or any(one.owns(item.scope, charter) for one in others)

    return conclude(
        docket,
        charter,
        now,
        phase=addition.state.phase,
        waivers=waivers,
        is_elsewhere=is_elsewhere,
        is_always_asked=lambda item: addition.owns(item.scope, charter),
    ).verdict


def summarise_addition(found: AgentVerdict, addition: Addition, charter: Charter) -> AdditionVerdict:
    """Return what the verdict about the agent says of an addition.

    Args:
        found: The verdict about the addition.
        addition: The addition.
        charter: The charter in force; while it does not speak of the addition, nothing is known.
    """
    gates = set(NUMBERED_PHASES[: int(found.phase) if found.phase in NUMBERED_PHASES else 1])
    breach = next(
        (
            item
            for one in found.requirements
            if gates & set(one.gates) and one.unwaived_status is Status.BREACHED
            for item in one.items
            if item.status is Status.BREACHED and addition.owns(item.scope, charter)
        ),
        None,
    )
    is_said = in_scope(charter, addition.what, addition.name)
    return AdditionVerdict(
        what=str(addition.what),
        name=addition.name,
        phase=found.phase,
        since=addition.state.since or found.as_of,
        status=found.status if is_said else Status.NO_EVIDENCE,
        reason=found.reason if is_said else Reason.MISSING,
        word=found.word if is_said else WORDS[Status.NO_EVIDENCE],
        sentence=found.sentence
        if is_said
        else f"The charter does not speak of the {addition.label} yet, so nothing about it is measured.",
        breach=breach,
    )
