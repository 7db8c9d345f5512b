# SPDX-License-Identifier: Apache-2.0
"""Compare the tools that MCP servers list with those that were reviewed; a tool that differs is disabled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mcp_types import Tool

from pilothouse.core.charter.contract import UpstreamTool
from pilothouse.errors import ToolError
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.mcp_listing import manifest_of
from pilothouse.runtime.tools.mcp_upstream import Upstream

__all__ = ["PINS_LOOKED_AT_EVERY_S", "PinChange", "PinWatch"]

PINS_LOOKED_AT_EVERY_S = 60.0
"""How long a look at what a server says about its tools counts; a server that tells of a change ends it at once."""

SAID_MAX = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChange:
    """A tool that differs from what was reviewed.

    Attributes:
        tool: Tool as the charter names it.
        server: Its server.
        pinned: Digest that was reviewed.
        found: Digest of what the server says now; None when it does not have the tool any more.
        says: What it says now, JSON text, cut.
    """

    tool: str
    server: str
    pinned: str
    found: str | None
    says: str


class PinWatch:
    """Watches the tools of one agent.

    Args:
        tools: Its tools; those without an upstream are nobody's to change.
        upstreams: Servers by name.
        on_change: Told once about each tool that is not what was reviewed.
        on_refused: Told once about each server that is not asked, because the charter does not declare its host.
    """

    def __init__(
        self,
        tools: Iterable[GovernedTool],
        upstreams: Mapping[str, Upstream],
        *,
        on_change: Callable[[PinChange], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._pins: dict[str, UpstreamTool] = {
            tool.name: tool.contract.upstream for tool in tools if tool.contract.upstream is not None
        }
        self._upstreams = upstreams
        self._on_change = on_change
        self._on_refused = on_refused
        self._refused: set[tuple[str, str | None]] = set()
        self._looked: dict[str, tuple[float, int]] = {}
        self._changed: dict[str, PinChange] = {}
        self._looking = {name: asyncio.Lock() for name in upstreams}

    async def check(self, tool: GovernedTool) -> None:
        """Let a tool be used only while its server says of it what was reviewed.

        Raises:
            ToolError: It says something else, or has the tool no more; or the charter does not declare its host.
        """
        pin = self._pins[tool.name]
        host = self._upstreams[pin.server].address.host
        if not tool.may_reach(host):
            if (tool.name, host) not in self._refused:
                self._refused.add((tool.name, host))
                self._on_refused(str(host))
            raise ToolError(
                f"{tool.name} stands at {host}, which the charter does not declare under {tool.integration}, so it is not asked",
                remedy="Do without it; the owner declares the host under `integrations:` and runs `pilothouse check`.",
                kind="permission",
                subject=tool.name,
            )
        await self._look(pin.server)
        if tool.name in self._changed:
            raise ToolError(
                f"{tool.name} is not what was reviewed, so it is disabled",
                remedy="Do without it; the owner looks at the difference and pins it again.",
                kind="contract_violation",
                subject=tool.name,
            )

    def _still_counts(self, server: str) -> bool:
        seen = self._looked.get(server)
        return (
            seen is not None
            and seen[1] == self._upstreams[server].changes
            and time.monotonic() - seen[0] < PINS_LOOKED_AT_EVERY_S
        )

    async def _look(self, server: str) -> None:
        """List a server's tools, unless the last listing is still fresh."""
        if self._still_counts(server):
            return
        upstream = self._upstreams[server]
        async with self._looking[server]:
            if self._still_counts(server):
                return
            changes = upstream.changes
            said: dict[str, Tool] = {}
            pins = {pin.manifest_hash for pin in self._pins.values()}
            for one in await upstream.tools():
                twin = said.get(one.name)
                # Of two tools with one name the one that was not reviewed counts, so that the name is disabled.
                if twin is None or manifest_of(twin) in pins:
                    said[one.name] = one
            for name, pin in self._pins.items():
                if pin.server == server:
                    self._compare(name, pin, said.get(pin.tool))
            self._looked[server] = (time.monotonic(), changes)

    def _compare(self, name: str, pin: UpstreamTool, now: Tool | None) -> None:
        found = None if now is None else manifest_of(now)
        if found == pin.manifest_hash:
            self._changed.pop(name, None)
            return
        says = "" if now is None else now.model_dump_json(by_alias=True, exclude_none=True)[:SAID_MAX]
        change = PinChange(tool=name, server=pin.server, pinned=pin.manifest_hash, found=found, says=says)
        if self._changed.get(name) != change:
            self._changed[name] = change
            self._on_change(change)
