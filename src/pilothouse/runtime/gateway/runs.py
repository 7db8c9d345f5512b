# SPDX-License-Identifier: Apache-2.0
"""Which run a call belongs to, and which agent owns a run or a stored answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.routes import Place
from pilothouse.runtime.random_ids import new_run_id
from pilothouse.runtime.recent import Recent

__all__ = ["Ownership", "RunIdentity", "identify"]

OWNED_MAX = 20_000
"""Ids whose owner is remembered, 150 bytes each; of those longest untouched half are forgotten at once."""

TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The run of a call.

    Attributes:
        run: 32 hex digits, also the trace id.
        source: `path`, `traceparent` or `new`.
        parent: Span that the call belongs to, or None.
    """

    run: str
    source: str
    parent: str | None = None


class Ownership:
    """Remembers which agent an id belongs to; an id is the first one's that used it.

    Args:
        on_record: Says whose an id is that nothing is remembered of, from before a restart, or None.
    """

    def __init__(self, on_record: Callable[[str], str | None] = lambda _: None) -> None:
        self._owners = Recent[str, str](OWNED_MAX)
        self._on_record = on_record

    def begin(self, ident: str, agent: str) -> None:
        """Give an agent an id that was just made, so that no record can know it."""
        self._owners.put(ident, agent)

    def claim(self, ident: str, agent: str) -> bool:
        """Return whether an agent owns an id; an id without an owner becomes its own."""
        owner = self._owners.get(ident)
        if owner is None:
            owner = self._on_record(ident) or agent
            self.begin(ident, owner)
        return owner == agent

    def is_own(self, ident: str, agent: str) -> bool:
        """Return whether an id is known to be this agent's."""
        return self._owners.get(ident) == agent

    def is_foreign(self, ident: str, agent: str) -> bool:
        """Return whether an id is known to be another agent's."""
        return self._owners.get(ident) not in {None, agent}


def identify(place: Place, headers: Mapping[bytes, bytes], agent: str, runs: Ownership) -> RunIdentity:
    """Find the run of a call: its path, then `traceparent`, else a new one.

    Args:
        place: Where the path leads.
        headers: By lower-case name.
        agent: Whose key was shown.
        runs: Whose runs are whose.

    Raises:
        Refused: The run is another agent's.
    """
    if place.run is not None:
        if not runs.claim(place.run, agent):
            raise Refused(
                Refusal(
                    RefusalCode.RUN_NOT_YOURS,
                    f"run {place.run} is another agent's",
                    "Start a run of your own: `pilothouse run -- CMD`.",
                )
            )
        return RunIdentity(place.run, "path")
    given = headers.get(b"traceparent")
    if given is not None:
        found = TRACEPARENT.fullmatch(given.strip())
        if found is not None and found[1].strip(b"0") and found[2].strip(b"0"):
            run = found[1].decode()
            if runs.claim(run, agent):
                return RunIdentity(run, "traceparent", found[2].decode())
    fresh = new_run_id()
    runs.begin(fresh, agent)
    return RunIdentity(fresh, "new")
