# SPDX-License-Identifier: Apache-2.0
"""Ownership of answers stored at a provider: the id gives access to the answer and to all that was said before it.

It is in the ledger before its agent is told its id, in one write with those of all other calls that wait just then. An answer that its
provider does not keep pays for nothing. Who names an id that is not remembered here, after a restart or of another process, asks the
ledger. One of which nobody knows whose it is becomes the agent's whose request its provider took.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from datetime import UTC, datetime

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import AnswerOwners
from pilothouse.runtime.gateway.kept_owner import owners_on_record
from pilothouse.runtime.gateway.refusal import NO_SUCH_RESPONSE, Refused
from pilothouse.runtime.gateway.runs import Ownership

__all__ = ["StoredAnswers"]

UNSAVED_MAX = 50_000
"""Answers that wait for the ledger, 200 bytes each: sixteen seconds of a gateway at its limit. The oldest are lost, and counted."""

GIVE_WAIT_S = 2.0
"""How long an answer waits until it is on record whose it is; a ledger that is locked for longer holds no agent up, and is counted."""


class StoredAnswers:
    """Tracks which agent owns a stored answer; on the event loop, except for `save`.

    Args:
        owners: Where that stands; None for the memory of this process.
        counters: Counts what happens.
    """

    def __init__(self, owners: AnswerOwners | None, counters: Counter[str]) -> None:
        self._owners = owners
        self._known = Ownership()
        self._unsaved: deque[tuple[str, str]] = deque()
        self._saving = threading.Lock()
        self._claimed = self._settled = 0
        self._writing: asyncio.Task[None] | None = None
        self._counters = counters

    async def check(self, idents: Iterable[str], agent: str) -> tuple[str, ...]:
        """Refuse answers that another agent was given, to be read or to be gone on from.

        Args:
            idents: Ids of answers and of their items that a request names.
            agent: Who asks.

        Returns:
            Those of which nobody knows whose they are.

        Raises:
            Refused: One is another agent's, or nobody can say whose it is.
        """
        named = [one for one in idents if not self._known.is_own(one, agent)]
        if any(self._known.is_foreign(one, agent) for one in named):
            raise Refused(NO_SUCH_RESPONSE)
        if not named or self._owners is None:
            return tuple(named)
        owners = await owners_on_record(self._owners, named, "answer it")
        for ident, owner in owners.items():
            self._known.begin(ident, owner)
        if any(owner != agent for owner in owners.values()):
            raise Refused(NO_SUCH_RESPONSE)
        return tuple(one for one in named if one not in owners)

    async def give(self, idents: Iterable[str], agent: str) -> None:
        """Put on record that an agent is given an answer, before it is told its id.

        Args:
            idents: Ids of the answer and of its items.
            agent: Who is given it.
        """
        self.claim(idents, agent)
        mark, until = self._claimed, time.monotonic() + GIVE_WAIT_S
        while self._settled < mark and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait({self._begin()}, timeout=left_s)
        self._counters["answers_given_unwritten"] += self._settled < mark

    def claim(self, idents: Iterable[str], agent: str) -> None:
        """Note that an agent was given answers; each stays the first one's. `hurry` puts it on record.

        Args:
            idents: Ids of answers and of their items.
            agent: Who was given them.
        """
        for ident in idents:
            if (
                self._known.is_own(ident, agent)
                or not self._known.claim(ident, agent)
                or self._owners is None
            ):
                continue
            self._claimed += 1
            self._unsaved.append((ident, agent))
            if len(self._unsaved) > UNSAVED_MAX:
                self._unsaved.popleft()
                self._counters["answers_unclaimed"] += 1

    def hurry(self) -> None:
        """Let the ledger know what was given, and wait for nothing."""
        if self._settled < self._claimed:
            self._begin()

    def _begin(self) -> asyncio.Task[None]:
        """Begin a write beside the loop that serves, of all that came while the last one went."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())
        return self._writing

    async def _write(self) -> None:
        while self._settled < self._claimed:
            claimed = self._claimed
            try:
                await asyncio.to_thread(self.save, datetime.now(UTC))
            except PilothouseError:
                self._counters["answers_given_unwritten"] += (
                    1  # the tick that saves what was spent tries again
                )
            self._settled = claimed

    def save(self, at: datetime) -> None:
        """Write new owners to the ledger; blocks, so it runs off the event loop.

        Raises:
            PilothouseError: It cannot be written; what it does not know yet is kept for the next time.
        """
        if self._owners is None:
            return
        with self._saving:
            given = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
            try:
                self._counters["answers_unclaimed"] += self._owners.claim(given, at)
            except PilothouseError:
                self._unsaved.extendleft(reversed(given))
                raise
