# SPDX-License-Identifier: Apache-2.0
"""Nobody goes on with a conversation that a provider keeps for another agent: its id brings back all that was said in it.

A conversation is the agent's that went on with it first; that outlasts a restart and holds in every process of the ledger. Calls
that name none pay for nothing of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import ConversationOwners
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.kept_owner import owner_on_record
from pilothouse.runtime.gateway.kept_there import conversation_asked
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.runs import Ownership

__all__ = ["Conversations"]


class Conversations:
    """Says whose a conversation is.

    Args:
        owners: Where that stands; None for the memory of this process.
        counters: Counts what happens.
    """

    def __init__(self, owners: ConversationOwners | None, counters: Counter[str]) -> None:
        self._owners = owners
        self._known = Ownership()
        self._counters = counters

    async def check(self, call: Call) -> None:
        """Note which conversation a call goes on with, and refuse another agent's.

        Args:
            call: Its body is read.

        Raises:
            Refused: It is another agent's, nobody can say whose it is, or readers may take it for different ones.
        """
        try:
            ident = call.conversation = conversation_asked(call.request)
        except ValueError:
            raise Refused(_UNPLAIN) from None
        if ident is None or self._known.is_own(ident, call.key.agent):
            return
        owner = None
        if self._owners is not None:
            owner = await owner_on_record(self._owners, ident, "conversation")
        if (owner is not None and owner != call.key.agent) or self._known.is_foreign(ident, call.key.agent):
            raise Refused(
                Refusal(
                    RefusalCode.ROUTE_UNKNOWN, "no such conversation", "Use one that is this agent's alone."
                )
            )
        if owner is not None:
            self._known.begin(ident, owner)

    async def claim(self, call: Call) -> None:
        """Make a conversation that a provider went on with the agent's, unless it is somebody's.

        Args:
            call: A call that is over.
        """
        ident, agent = call.conversation, call.key.agent
        is_taken = 0 < call.status < HTTPStatus.BAD_REQUEST and not call.key.is_replay
        if ident is None or not is_taken or self._known.is_own(ident, agent):
            return
        owner = agent
        if self._owners is not None:
            try:
                owner = await asyncio.to_thread(self._owners.claim, ident, agent, datetime.now(UTC))
            except PilothouseError:
                self._counters["conversations_unclaimed"] += 1
        self._known.begin(ident, owner)


_UNPLAIN = Refusal(
    RefusalCode.PIN_UNKNOWN,
    "`conversation` is said in a way that its provider may take for another one",
    "Send it once, as an id or as an object with nothing but `id`.",
)
