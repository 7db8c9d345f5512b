# SPDX-License-Identifier: Apache-2.0
"""An MCP server in front of MCP servers: only pinned tools, under our names and texts, each call through the door."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from pilothouse import __version__
from pilothouse.core.charter.tool_names import call_name
from pilothouse.errors import Denied, ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.span_ids import new_span_id
from pilothouse.runtime.tools.credentials import CredentialBroker
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.mcp_said import Said, read_said
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.mcp_unread import UNREAD_TOOLS, answer_about_unread, answer_of
from pilothouse.runtime.tools.mcp_upstream import Upstream, manifest_of
from pilothouse.runtime.tools.pipeline import call_through
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.steps import drive_async

__all__ = ["PINS_LOOKED_AT_EVERY_S", "McpProxy", "PinChange"]

PINS_LOOKED_AT_EVERY_S = 60.0
"""How long a look at what a server says about its tools counts; a server that tells of a change ends it at once."""

SAID_MAX = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChange:
    """A tool that is not what was reviewed.

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


class McpProxy:
    """The proxy of one agent.

    Args:
        runtime: What decides about calls.
        addresses: Servers by name.
        on_change: Told once about each tool that is not what was reviewed.
        on_refused: Told once about each server that is not asked, because the charter does not declare its host.
        task_type: Task type of calls that name none, as whoever starts the proxy says; `unknown` may only read.
        broker: Gives the credentials that addresses name.
    """

    def __init__(
        self,
        runtime: ToolRuntime,
        addresses: Mapping[str, UpstreamAddress],
        *,
        on_change: Callable[[PinChange], None] = lambda _change: None,
        on_refused: Callable[[str], None] = lambda _host: None,
        task_type: str = "unknown",
        broker: CredentialBroker | None = None,
    ) -> None:
        self._runtime = runtime
        self._broker = broker
        self._on_change = on_change
        self._on_refused = on_refused
        self._refused: set[tuple[str, str | None]] = set()
        self._task_type = task_type
        # Only tools with an upstream that is named here: two servers cannot claim one name, because names are ours.
        self._tools: dict[str, GovernedTool] = {
            name: tool
            for name, tool in runtime.tools.items()
            if tool.contract.upstream is not None and tool.contract.upstream.server in addresses
        }
        self._names = {shown: name for name in self._tools for shown in (call_name(name), name)}
        self._hides = runtime.door.presenter is not None and any(tool.hides for tool in self._tools.values())
        used = {tool.contract.upstream.server for tool in self._tools.values() if tool.contract.upstream}
        self._upstreams = {name: Upstream(addresses[name], broker) for name in used}
        self._looked: dict[str, tuple[float, int]] = {}
        self._changed: dict[str, PinChange] = {}
        self._looking = {name: asyncio.Lock() for name in used}
        self.server: Server[Any] = Server(
            "pilothouse",
            version=__version__,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            # Else the SDK makes the whole list for each call, to hold the call's headers against one schema.
            get_tool_input_schema=self._input_schema,
        )

    @property
    def changed(self) -> Sequence[PinChange]:
        """Tools that are disabled because they are not what was reviewed."""
        return tuple(self._changed.values())

    async def serve_stdio(self) -> None:
        """Serve on standard input and output until the other side closes them."""
        async with stdio_server() as (reader, writer):
            await self.server.run(reader, writer, self.server.create_initialization_options())

    async def close(self) -> None:
        """End every connection to a server."""
        for upstream in self._upstreams.values():
            await upstream.close()

    def _input_schema(self, shown: str) -> Mapping[str, Any] | None:
        name = self._names.get(shown)
        if name is not None:
            return self._tools[name].contract.input
        return UNREAD_TOOLS[shown].input_schema if shown in UNREAD_TOOLS else None

    async def _list_tools(
        self, _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        shown = []
        for name, tool in self._tools.items():
            try:
                await self._check_pin(tool)
            except (ToolError, OSError, TimeoutError):
                continue
            contract = tool.contract
            shown.append(
                Tool(
                    name=call_name(name),
                    description=contract.description,
                    input_schema=contract.input,
                    output_schema=contract.output if contract.output.get("type") == "object" else None,
                    annotations=ToolAnnotations(
                        read_only_hint=tool.effect == "read",
                        destructive_hint=tool.effect == "irreversible",
                        idempotent_hint=tool.repeatable != "none",
                    ),
                )
            )
        return ListToolsResult(tools=[*shown, *(UNREAD_TOOLS.values() if self._hides else ())])

    async def _call_tool(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        try:
            if params.name in UNREAD_TOOLS and self._hides:
                return answer_of(answer_about_unread(self._runtime, params, self._said(context).run))
            tool = self._tools.get(self._names.get(params.name, ""))
            if tool is None or tool.contract.upstream is None:
                raise ToolError(  # noqa: TRY301 - one place turns refusals into answers
                    f"{params.name[:200]} is no tool here",
                    remedy="Use a name from tools/list.",
                    kind="permission",
                )
            return await self._through(tool, params, context)
        except ToolError as error:
            said = error.as_tool_result()
            return CallToolResult(
                content=[TextContent(type="text", text=json.dumps(said))],
                structured_content=said,
                is_error=True,
            )

    async def _through(
        self, tool: GovernedTool, params: CallToolRequestParams, context: ServerRequestContext[Any]
    ) -> CallToolResult:
        upstream_tool = tool.contract.upstream
        assert upstream_tool is not None  # noqa: S101 - the caller looked
        upstream = self._upstreams[upstream_tool.server]
        answers: list[CallToolResult] = []
        span_id = new_span_id()
        said = self._said(context)
        call = ToolCall(
            tool=tool.name,
            args=dict(params.arguments or {}),
            agent=self._runtime.agent,
            version=self._runtime.version,
            run=said.run,
            span_id=span_id,
            parent_span_id=said.parent_span_id,
            call_id=span_id,
            task_type=said.task_type or self._task_type,
            effect=tool.effect,
            integration=tool.integration,
            contract=tool.digest,
        )

        call = self._runtime.door.filled(call)
        checked: list[Any] = []

        async def attempt() -> Any:
            await self._check_pin(tool)
            answer = await upstream.call(
                upstream_tool.tool,
                dict(call.args),
                tool.contract.timeout_s,
                on_progress=context.session.report_progress if _wants_progress(context) else None,
            )
            answer = self._without_secrets(answer)
            answers.append(answer)
            checked.append(_plain(tool, answer))
            return checked[-1]

        shown = await drive_async(call_through(self._runtime.door, tool, call), attempt)
        if checked and shown is checked[-1]:
            return answers[-1]
        # A stored result, or one with fields that the model is not shown: what the server sent stays here.
        return answer_of(shown)

    def _without_secrets(self, answer: CallToolResult) -> CallToolResult:
        """Take a credential that a server sends back out of its answer, before anybody keeps or reads it."""
        if self._broker is None or not self._broker.has_given:
            return answer
        text = answer.model_dump_json(by_alias=True, exclude_none=True)
        clean = self._broker.without(text)
        return answer if clean == text else CallToolResult.model_validate_json(clean)

    def _said(self, context: ServerRequestContext[Any]) -> Said:
        """Read whose call it is; a task token stands above what the caller says of itself.

        Raises:
            ToolError: The token was given to nobody.
        """
        said = read_said(context)
        if said.token is None or self._runtime.tasks is None:
            return said
        try:
            return replace(said, run=self._runtime.tasks.run_of(said.token))
        except Denied as error:
            raise ToolError(error.message, remedy=error.remedy, kind="permission") from error

    async def _check_pin(self, tool: GovernedTool) -> None:
        """Let a tool be used only while its server says of it what was reviewed.

        Raises:
            ToolError: It says something else, or has the tool no more.
        """
        pin = tool.contract.upstream
        assert pin is not None  # noqa: S101 - only such tools are kept
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
        change = self._changed.get(tool.name)
        if change is not None:
            raise ToolError(
                f"{tool.name} is not what was reviewed, so it is disabled",
                remedy="Do without it; the owner looks at the difference and pins it again.",
                kind="contract_violation",
                subject=tool.name,
            )

    async def _look(self, server: str) -> None:
        """Read what a server says about its tools, unless a look still counts."""
        upstream = self._upstreams[server]
        async with self._looking[server]:
            seen = self._looked.get(server)
            if (
                seen is not None
                and seen[1] == upstream.changes
                and time.monotonic() - seen[0] < PINS_LOOKED_AT_EVERY_S
            ):
                return
            changes = upstream.changes
            said: dict[str, Tool] = {}
            pins = {
                tool.contract.upstream.manifest_hash
                for tool in self._tools.values()
                if tool.contract.upstream
            }
            for one in await upstream.tools():
                twin = said.get(one.name)
                # Of two tools with one name the one that was not reviewed counts, so that the name is disabled.
                if twin is None or manifest_of(twin) in pins:
                    said[one.name] = one
            for name, tool in self._tools.items():
                pin = tool.contract.upstream
                if pin is not None and pin.server == server:
                    self._compare(name, pin.manifest_hash, server, said.get(pin.tool))
            self._looked[server] = (time.monotonic(), changes)

    def _compare(self, name: str, pinned: str, server: str, now: Tool | None) -> None:
        found = None if now is None else manifest_of(now)
        if found == pinned:
            self._changed.pop(name, None)
            return
        says = "" if now is None else now.model_dump_json(by_alias=True, exclude_none=True)[:SAID_MAX]
        change = PinChange(tool=name, server=server, pinned=pinned, found=found, says=says)
        if self._changed.get(name) != change:
            self._changed[name] = change
            self._on_change(change)


def _wants_progress(context: ServerRequestContext[Any]) -> bool:
    """Whether the caller asked to be told how far a call is; else the server is not asked either."""
    return context.meta is not None and context.meta.get("progress_token") is not None


def _plain(tool: GovernedTool, answer: CallToolResult) -> Any:
    """Return what the contract is held against: the structured content, or the content where there is none.

    Raises:
        ToolError: The server says that the call failed, or the content is larger than the contract allows.
    """
    content = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in answer.content]
    size = sum(len(str(value)) for part in content for value in part.values())
    if size > tool.contract.result_bytes_max:
        raise ToolError(
            f"{tool.name}: its answer is larger than the contract allows",
            remedy="Ask for less.",
            kind="contract_violation",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    if answer.is_error:
        raise ToolError(
            f"{tool.name}: the server says that the call failed",
            remedy="Check the arguments, or go on without it.",
            kind="upstream_bug",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    if answer.structured_content is not None:
        return answer.structured_content
    return {"content": content}
