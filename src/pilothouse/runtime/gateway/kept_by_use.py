# SPDX-License-Identifier: Apache-2.0
"""Nobody goes on with what a provider keeps for another agent: a conversation, a file, a container, a vector store, a prompt.

Such a thing is the agent's that used it first, unless the operator says that several share it; that outlasts a restart and holds in
every process of the ledger. Calls that name none pay for no look into it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus

from pilothouse.errors import PilothouseError
from pilothouse.ports.gateway import ThingOwners
from pilothouse.runtime.gateway.call import Call
from pilothouse.runtime.gateway.kept_owner import owners_on_record
from pilothouse.runtime.gateway.kept_there import conversation_asked
from pilothouse.runtime.gateway.named_things import things_named
from pilothouse.runtime.gateway.refusal import Refusal, RefusalCode, Refused
from pilothouse.runtime.gateway.runs import Ownership

__all__ = ["KeptByUse"]


class KeptByUse:
    """Says whose something is that a provider keeps.

    Args:
        owners: Where that stands; None for the memory of this process.
        counters: Counts what happens.
        shared: Ids of things that several agents may use.
    """

    def __init__(
        self, owners: ThingOwners | None, counters: Counter[str], *, shared: frozenset[str] = frozenset()
    ) -> None:
        self._owners = owners
        self._known = Ownership()
        self._counters = counters
        self._shared = shared

    async def check(self, call: Call, *, may_converse: bool) -> None:
        """Note what a call uses of what its provider keeps, and refuse another agent's.

        Args:
            call: Its body is read.
            may_converse: Whether it is one that can go on with a conversation at the provider.

        Raises:
            Refused: Something is another agent's, nobody can say whose it is, or readers may take it for something else.
        """
        agent = call.key.agent
        conversation = None
        try:
            if may_converse:
                conversation = conversation_asked(call.request)
            named = things_named(call.request, call.route.operation)
        except ValueError:
            raise Refused(_UNPLAIN) from None
        used = [] if conversation is None else [conversation]
        used += [one for one in named if one not in self._shared]
        call.uses = tuple(used)
        unknown = [one for one in used if not self._known.is_own(one, agent)]
        if not unknown:
            return
        owners = (
            {}
            if self._owners is None
            else await owners_on_record(self._owners, unknown, "what it goes on with")
        )
        for one in unknown:
            if owners.get(one, agent) != agent or self._known.is_foreign(one, agent):
                raise Refused(_NO_CONVERSATION if one == conversation else _NO_SUCH_THING)
            if one in owners:
                self._known.begin(one, agent)

    async def claim(self, call: Call) -> None:
        """Make what a provider went on with the agent's, unless it is somebody's.

        Args:
            call: A call that is over.
        """
        agent = call.key.agent
        is_taken = 0 < call.status < HTTPStatus.BAD_REQUEST and not call.key.is_replay
        fresh = [one for one in call.uses if not self._known.is_own(one, agent)] if is_taken else []
        for one in fresh:
            owner = agent
            if self._owners is not None:
                try:
                    owner = await asyncio.to_thread(self._owners.claim, one, agent, datetime.now(UTC))
                except PilothouseError:
                    self._counters["things_unclaimed"] += 1
            self._known.begin(one, owner)


_UNPLAIN = Refusal(
    RefusalCode.PIN_UNKNOWN,
    "what its provider keeps is named in a way that it may take for something else",
    "Send each field once; `conversation` as an id or as an object with nothing but `id`.",
)
_NO_CONVERSATION = Refusal(
    RefusalCode.ROUTE_UNKNOWN, "no such conversation", "Use one that is this agent's alone."
)
_NO_SUCH_THING = Refusal(
    RefusalCode.ROUTE_UNKNOWN,
    "a file, container, vector store or prompt is named that another agent uses",
    "Use one that is this agent's alone, or let the operator name it in PILOTHOUSE_SHARED_IDS.",
)
