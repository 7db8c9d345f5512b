# SPDX-License-Identifier: Apache-2.0
"""Give back what edits took out of a request: to the agent that asks for it, or to a person who looks."""

from __future__ import annotations

from pilothouse.errors import UnknownName
from pilothouse.ports.runlog import RunLog
from pilothouse.runtime.context.ledger import ID, recall_from

__all__ = ["recall_result"]


def recall_result(
    log: RunLog, ident: str, *, agent: str | None = None, start: int = 0, end: int | None = None
) -> str:
    """Return a tool's result that was taken out of a request, or a range of it.

    Secrets in it stay replaced: the run log keeps none.

    Args:
        log: The run log.
        ident: Id as the note in the request gives it.
        agent: Agent that asks, which may only recall what is its own; None for a person.
        start: First character.
        end: Character after the last, or None for the rest.

    Raises:
        UnknownName: The id stands for nothing, or for what belongs to another agent.
    """
    named, found = ID.fullmatch(ident), None
    if named is not None:
        log.flush()
        try:
            recorded = log.read(named["run"])
        except UnknownName:
            recorded = None
        if recorded is not None and agent in {None, recorded.summary.agent}:
            found = recall_from(recorded, ident, start=start, end=end)
    if found is None:
        raise UnknownName(
            f"nothing is kept under {ident[:80]!r}",
            remedy="Take the id from the note in the request, or from the run: `pilothouse replay RUN --show`",
            subject=ident,
        )
    return found
