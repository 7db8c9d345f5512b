# SPDX-License-Identifier: Apache-2.0
"""Whose an answer is that its provider keeps: by its id it can be read again and gone on from, with all that was said before it.

What this process was told stands in memory, and reaches the ledger with the tick that saves what was spent: a call pays for no write.
Who asks for an id that is not remembered here, after a restart or of another process, asks the ledger.
"""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import AnswerOwners
from pilothouse.runtime.gateway.kept_owner import owner_on_record
from pilothouse.runtime.gateway.refusal import NO_SUCH_RESPONSE, Refused
from pilothouse.runtime.gateway.runs import Ownership

__all__ = ["StoredAnswers"]

UNSAVED_MAX = 50_000
"""Answers that wait for the ledger, 200 bytes each: sixteen seconds of a gateway at its limit. The oldest are lost, and counted."""


class StoredAnswers:
    """Says whose an answer is; in the loop that serves, but for `save`.

    Args:
        owners: Where that stands; None for the memory of this process.
        counters: Counts what happens.
    """

    def __init__(self, owners: AnswerOwners | None, counters: Counter[str]) -> None:
        self._owners = owners
        self._known = Ownership()
        self._unsaved: deque[tuple[str, str]] = deque()
        self._counters = counters

    async def check(self, ident: str | None, agent: str) -> None:
        """Refuse an answer that another agent was given, to be read or to be gone on from.

        Args:
            ident: Id of an answer that a request names, or None.
            agent: Who asks.

        Raises:
            Refused: It is another agent's, or nobody can say whose it is.
        """
        if ident is None or self._known.is_own(ident, agent):
            return
        if self._known.is_foreign(ident, agent):
            raise Refused(NO_SUCH_RESPONSE)
        if self._owners is None:
            return
        owner = await owner_on_record(self._owners, ident, "answer")
        if owner is not None:
            self._known.begin(ident, owner)
            if owner != agent:
                raise Refused(NO_SUCH_RESPONSE)

    def claim(self, ident: str, agent: str) -> None:
        """Note that an agent was given an answer; it stays the first one's.

        Args:
            ident: Id of the answer.
            agent: Who was given it.
        """
        if self._known.is_own(ident, agent) or not self._known.claim(ident, agent) or self._owners is None:
            return
        self._unsaved.append((ident, agent))
        if len(self._unsaved) > UNSAVED_MAX:
            self._unsaved.popleft()
            self._counters["answers_unclaimed"] += 1

    def save(self, at: datetime) -> None:
        """Let the ledger know what was given since the last time; waits for it, beside the loop that serves.

        Raises:
            PilothouseError: It cannot be written; what it does not know yet is kept for the next time.
        """
        if self._owners is None:
            return
        given = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
        try:
            self._counters["answers_unclaimed"] += self._owners.claim(given, at)
        except PilothouseError:
            self._unsaved.extendleft(reversed(given))
            raise
