# SPDX-License-Identifier: Apache-2.0
"""Additions to an agent's scope after phase 3: each passes the phases on its own, and counts apart until then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.diff import Change
from pilothouse.core.evidence.evidence import Scope
from pilothouse.core.verdict.phases import PhaseEvent, PhaseMove, PhaseState, fold_phase

__all__ = [
    "FIRST_PHASE",
    "Addition",
    "AdditionEvent",
    "AdditionKind",
    "explained",
    "fold_additions",
    "in_scope",
]

FIRST_PHASE: Final = "1"
"""Where an addition begins: in service, for as few as the charter's phase 1 says."""


class AdditionKind(StrEnum):
    """The kinds of additions."""

    TASK_TYPE = "task type"
    INTEGRATION = "integration"
    TOOL = "tool"
    USERS = "users"


class AdditionEvent(BaseModel):
    """One move of an addition; the first is its acceptance.

    Attributes:
        what: Which kind of thing it is.
        name: Its name in the charter.
        move: The move.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: AdditionKind
    name: str = Field(min_length=1, max_length=200)
    move: PhaseEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """An accepted addition to the scope.

    Attributes:
        what: Which kind of thing it is.
        name: Its name in the charter.
        state: The phase that it is in.
        joined_at: When it passed phase 3 and became part of the old scope, aware UTC; None while it counts apart.
    """

    what: AdditionKind
    name: str
    state: PhaseState
    joined_at: datetime | None = None

    @property
    def label(self) -> str:
        """What it is called, for example `task type refunds`."""
        return f"{self.what} {self.name}"

    def owns(self, scope: Scope, charter: Charter) -> bool:
        """Whether an item speaks of this addition alone.

        Nothing that is measured names the users, so that a group of users shares every item with the old scope.

        Args:
            scope: Scope of the item.
            charter: The charter in force, which says which integration a tool belongs to.
        """
        if self.what is AdditionKind.TASK_TYPE:
            return scope.task_type == self.name
        if self.what is AdditionKind.TOOL:
            return scope.tool == self.name
        if self.what is AdditionKind.INTEGRATION:
            tool = None if scope.tool is None else charter.tool(scope.tool)
            return self.name in (scope.integration, tool.integration if tool else None)
        return False


def fold_additions(events: Iterable[AdditionEvent]) -> tuple[Addition, ...]:
    """Fold events, in any order, into the additions to the scope, the first accepted first.

    Args:
        events: Recorded events of one agent.

    Example:
        >>> fold_additions([])
        ()
    """
    moves: dict[tuple[AdditionKind, str], list[PhaseEvent]] = {}
    for event in sorted(events, key=lambda one: (one.move.place, one.what, one.name)):
        moves.setdefault((event.what, event.name), []).append(event.move)
    return tuple(
        Addition(what=what, name=name, state=fold_phase(own), joined_at=_joined(own))
        for (what, name), own in moves.items()
    )


def _joined(moves: Sequence[PhaseEvent]) -> datetime | None:
    return next((one.at for one in moves if one.move is PhaseMove.ENTERED and one.phase == "3"), None)


def in_scope(charter: Charter, what: AdditionKind, name: str) -> bool:
    """Return whether something is in a charter's scope already."""
    if what is AdditionKind.TASK_TYPE:
        return name in charter.task_types
    if what is AdditionKind.TOOL:
        return charter.tool(name) is not None
    if what is AdditionKind.INTEGRATION:
        return charter.integration(name) is not None
    last = charter.phase("3")
    users = known(last.users) if last else None
    return users is not None and bool({name, "all"} & set(users))


_ENTRIES = {
    AdditionKind.TASK_TYPE: "task_types",
    AdditionKind.INTEGRATION: "integrations",
    AdditionKind.TOOL: "tools",
}
_SETS = {
    AdditionKind.TASK_TYPE: ("tools.", ".task_types"),
    AdditionKind.INTEGRATION: ("phases.", ".integrations"),
    AdditionKind.USERS: ("phases.", ".users"),
}


def explained(change: Change, additions: Iterable[Addition], charter: Charter) -> bool:
    """Return whether a change of the charter only records accepted additions.

    Args:
        change: A change that widens what the agent may do.
        additions: What was accepted.
        charter: The charter after the change.

    Returns:
        False also where a change brings in more than was accepted.
    """
    return any(_explains(one, change, charter) for one in additions)


def _explains(addition: Addition, change: Change, charter: Charter) -> bool:
    holder, _, entry = change.path.partition(".")
    if _ENTRIES.get(addition.what) == holder and entry == addition.name:
        return True
    if addition.what is AdditionKind.INTEGRATION and holder == "tools":
        tool = charter.tool(entry)
        return change.old is None and tool is not None and tool.integration == addition.name
    begin, end = _SETS.get(addition.what, ("", ""))
    if not begin or not (change.path.startswith(begin) and change.path.endswith(end)):
        return False
    return _members(change.new) - _members(change.old) == {addition.name}


def _members(text: str | None) -> set[str]:
    """Return the names in a list of a charter; a word such as `all` is a name of its own."""
    if text is None:
        return set()
    return set(json.loads(text)) if text.startswith("[") else {text}
