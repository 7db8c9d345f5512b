# SPDX-License-Identifier: Apache-2.0
"""The MCP proxy of each agent, by its key: built at the first request and rebuilt when the charter changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.errors import UsageError
from pilothouse.ports.permissions import Decider
from pilothouse.runtime.gateway.key_book import KeyBook

if TYPE_CHECKING:
    from pilothouse.runtime.tools.mcp_http import McpHttp

__all__ = ["CLOSING_AFTER_S", "McpRoom", "McpRooms"]

CLOSING_AFTER_S = 30.0
"""How long calls that began under the charter before may go on under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpRoom:
    """The proxy of one agent under the charter in force.

    Attributes:
        agent: Agent id.
        http: The proxy.
        decider: Opens tasks.
        held: What ends with it.
        again_at_s: Monotonic moment from which it is built anew, because something waits for a person; or None.
    """

    agent: str
    http: McpHttp
    decider: Decider
    held: ExitStack
    again_at_s: float | None = None

    async def close(self) -> None:
        """End it."""
        await self.http.close()
        await asyncio.to_thread(self.held.close)


class McpRooms:
    """The proxies of an installation, by agent; for one event loop.

    Args:
        keys: Whose a key is, and what is in force.
        opened: Builds what answers for an agent; blocking.
        now: Tells the time, aware UTC.
        closing_after_s: How long a replaced proxy goes on, seconds.
    """

    def __init__(
        self,
        keys: KeyBook,
        opened: Callable[[str], McpRoom],
        *,
        now: Callable[[], datetime],
        closing_after_s: float = CLOSING_AFTER_S,
    ) -> None:
        self._keys = keys
        self._opened = opened
        self._now = now
        self._closing_after_s = closing_after_s
        self._rooms: dict[str, tuple[str, McpRoom]] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def room(self, key: str) -> McpRoom:
        """Return the proxy of a key's agent.

        Args:
            key: The key that a request shows.

        Raises:
            Refused: There is no such key, or it works no more.
            UsageError: The agent has no charter in force.
            PilothouseError: Its charter or contracts are not in order.
        """
        holder, directory = await self._keys.holder(key, self._now())
        agent = holder.agent
        policy = directory.policies.get(agent)
        if policy is None or policy.charter is None:
            raise UsageError(
                f"no charter is in force for {agent!r}",
                remedy="Put one into force: `pilothouse verdict --charter charter.yaml`.",
                subject=agent,
            )
        found = self._rooms.get(agent)
        if found is not None and _is_good(*found, policy.charter):
            return found[1]
        async with self._opening.setdefault(agent, asyncio.Lock()):
            found = self._rooms.get(agent)
            if found is None or not _is_good(*found, policy.charter):
                fresh = await asyncio.to_thread(self._opened, agent)
                self._rooms[agent] = (policy.charter, fresh)
                if found is not None:
                    self._leave(found[1])
                return fresh
        return found[1]

    async def close(self) -> None:
        """End every proxy."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for _, room in self._rooms.values():
            await room.close()
        self._rooms.clear()

    def _leave(self, room: McpRoom) -> None:
        async def later() -> None:
            try:
                await asyncio.sleep(self._closing_after_s)
            finally:
                await room.close()

        task = asyncio.create_task(later(), name=f"mcp-leave-{room.agent}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _is_good(charter: str, room: McpRoom, in_force: str) -> bool:
    return charter == in_force and (room.again_at_s is None or time.monotonic() < room.again_at_s)
