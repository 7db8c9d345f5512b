# SPDX-License-Identifier: Apache-2.0
"""In-memory idempotency store for verification runs, whose calls are not those of an agent."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime

from pilothouse.errors import Conflict
from pilothouse.ports.tools import StoredCall

__all__ = ["MemoryCalls"]


class MemoryCalls:
    """`ports.IdempotencyStore` in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, StoredCall] = {}
        self._lock = threading.Lock()

    @property
    def states(self) -> list[str]:
        """State of each row, in the order they were made."""
        return [row.state for row in self._rows.values()]

    def known(self, call: str) -> StoredCall | None:
        """Return the record of a call, or None."""
        with self._lock:
            return self._rows.get(call)

    def begin(
        self, *, call: str, key: str, args_digest: str, agent: str, run: str, tool: str, at: datetime
    ) -> None:
        """Record that a call is about to be sent.

        Raises:
            Conflict: It is kept already.
        """
        del agent, run, tool, at  # memory is listed by nobody
        stored = StoredCall(call=call, key=key, args_digest=args_digest, state="sent", result=None)
        with self._lock:
            if call in self._rows:
                raise Conflict(
                    f"call {call[:12]} was begun before",
                    remedy="Somebody else makes this call; ask for its result.",
                    subject=call,
                )
            self._rows[call] = stored

    def step(
        self, call: str, *, before: str, after: str, result: str | None, at: datetime, person: str = "unknown"
    ) -> None:
        """Move a call to its next state.

        Raises:
            Conflict: It is not in the state `before` any more.
        """
        del at, person  # memory is nobody's archive
        with self._lock:
            row = self._rows[call]
            if row.state != before:
                raise Conflict(
                    f"call {call[:12]} is not {before!r} any more",
                    remedy="Somebody else made this call; ask for its result.",
                    subject=call,
                )
            self._rows[call] = replace(row, state=after, result=result)
