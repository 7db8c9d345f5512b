# SPDX-License-Identifier: Apache-2.0
"""In-memory idempotency store for verification runs, whose calls are not those of an agent."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from pilothouse.errors import Conflict
from pilothouse.ports.tools import StoredCall

__all__ = ["MemoryCalls"]


@dataclass(frozen=True, slots=True)
class _Row:
    stored: StoredCall
    agent: str
    at: datetime


class MemoryCalls:
    """`ports.IdempotencyStore` in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()

    @property
    def states(self) -> list[str]:
        """State of each row, in the order they were made."""
        return [row.stored.state for row in self._rows.values()]

    def known(self, call: str) -> StoredCall | None:
        """Return the record of a call, or None."""
        with self._lock:
            row = self._rows.get(call)
        return None if row is None else row.stored

    def begin(
        self, *, call: str, key: str, args_digest: str, agent: str, run: str, tool: str, at: datetime
    ) -> None:
        """Record that a call is about to be sent.

        Raises:
            Conflict: It is kept already.
        """
        del run, tool
        stored = StoredCall(call=call, key=key, args_digest=args_digest, state="sent", result=None)
        with self._lock:
            if call in self._rows:
                raise Conflict(
                    f"call {call[:12]} was begun before",
                    remedy="Somebody else makes this call; ask for its result.",
                    subject=call,
                )
            self._rows[call] = _Row(stored, agent, at)

    def step(
        self, call: str, *, before: str, after: str, result: str | None, at: datetime, person: str = "unknown"
    ) -> None:
        """Move a call to its next state.

        Raises:
            Conflict: It is not in the state `before` any more.
        """
        del person  # memory is nobody's archive
        with self._lock:
            row = self._rows[call]
            if row.stored.state != before:
                raise Conflict(
                    f"call {call[:12]} is not {before!r} any more",
                    remedy="Somebody else made this call; ask for its result.",
                    subject=call,
                )
            self._rows[call] = _Row(replace(row.stored, state=after, result=result), row.agent, at)

    def unsettled(self, agent: str, *, older_than: datetime, limit: int = 100) -> tuple[StoredCall, ...]:
        """Return calls that were sent and never settled, oldest first, for a person to look at."""
        found = [
            row
            for row in self._rows.values()
            if row.agent == agent and row.stored.state in ("sent", "unknown") and row.at < older_than
        ]
        return tuple(row.stored for row in sorted(found, key=lambda row: row.at)[:limit])
