# SPDX-License-Identifier: Apache-2.0
"""What came into an agent's scope: finds one by its name, gives its verdict, writes its moves."""

from __future__ import annotations

from pilothouse.core.charter.digest import canonical_json
from pilothouse.core.verdict.addition import Addition, AdditionEvent, AdditionKind
from pilothouse.core.verdict.verdict import AgentVerdict
from pilothouse.errors import UnknownName
from pilothouse.ports.ledger import Ledger
from pilothouse.workflows.ground.phase_log import MOVED, additions_of, kind_for
from pilothouse.workflows.verdict.assess import Assessment

__all__ = ["find_addition", "verdict_about", "write_move"]


def find_addition(ledger: Ledger, agent: str, what: AdditionKind, name: str) -> Addition:
    """Return what was accepted into the scope under a name.

    Args:
        ledger: Where it stands.
        agent: Agent id.
        what: Which kind of thing.
        name: Its name.

    Raises:
        UnknownName: Nothing was accepted under it.
    """
    accepted = [one for one in additions_of(ledger, agent) if one.what is what]
    for one in accepted:
        if one.name == name:
            return one
    option = str(what).replace(" ", "-")
    raise UnknownName.among(
        f"accepted {what}",
        name,
        [one.name for one in accepted],
        remedy=f"Ask for it: `pilothouse phase expand {agent} --{option} {name}`.",
    )


def verdict_about(found: Assessment, addition: Addition | None) -> AgentVerdict:
    """Return the verdict about an addition, or about the agent without what counts apart.

    Args:
        found: An assessment of the agent.
        addition: The addition, or None.
    """
    return found.verdict if addition is None else found.apart[addition.label]


def write_move(ledger: Ledger, agent: str, event: AdditionEvent, *, after: int | None = None) -> None:
    """Record a move of an addition.

    Args:
        ledger: Where it stands from now on.
        agent: Agent id.
        event: The move.
        after: Sequence of the newest move of any addition that was read; None where it rests on none.
    """
    ledger.record(
        kind=kind_for(MOVED, is_addition=True),
        agent=agent,
        at=event.move.at,
        actor=", ".join(event.move.by),
        document=canonical_json(event.model_dump(mode="json")),
        after=after,
    )
