# SPDX-License-Identifier: Apache-2.0
"""An MCP server in front of MCP servers: only pinned tools, under our names and texts, each call through the door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.inbound import x_mcp_header_map
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
    ToolAnnotations,
)

from pilothouse import __version__
from pilothouse.core.charter.tool_names import call_name
from pilothouse.errors import PilothouseError, ToolError
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.random_ids import new_span_id
from pilothouse.runtime.tools.credentials import CredentialBroker
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.runtime.tools.mcp_answers import answer_of, data_of, says_more
from pilothouse.runtime.tools.mcp_metadata import TASK_HEADER, RequestMetadata, read_metadata
from pilothouse.runtime.tools.mcp_pins import PinChange, PinWatch
from pilothouse.runtime.tools.mcp_servers import UpstreamAddress
from pilothouse.runtime.tools.mcp_unread import UNREAD_TOOLS, answer_about_unread
from pilothouse.runtime.tools.mcp_upstream import Upstream
from pilothouse.runtime.tools.pipeline import call_through
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.steps import drive_async

__all__ = ["McpProxy"]


UNKNOWN_CHARACTERS_MAX = 160
"""Of a name that no tool has: what a record holds of it."""

PROGRESS_TOLD_MAX = 1_000
"""Of one call; what a server says while it works is counted by no contract, and a bar has no more steps."""

PROGRESS_CHARACTERS_MAX = 1_000
"""Of what a server says with one step; more is an answer, which the contract bounds."""


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
        self._task_type = task_type
        # Only tools with an upstream that is named here: two servers cannot claim one name, because names are ours.
        self._tools: dict[str, GovernedTool] = {
            name: tool
            for name, tool in runtime.tools.items()
            if tool.contract.upstream is not None and tool.contract.upstream.server in addresses
        }
        self._names = {shown: name for name in self._tools for shown in (call_name(name), name)}
        self._headed = {name for name, tool in self._tools.items() if x_mcp_header_map(tool.contract.input)}
        self._hides = runtime.door.presenter is not None and any(tool.hides for tool in self._tools.values())
        used = {tool.contract.upstream.server for tool in self._tools.values() if tool.contract.upstream}
        self._upstreams = {name: Upstream(addresses[name], broker) for name in used}
        self._pins = PinWatch(
            self._tools.values(), self._upstreams, on_change=on_change, on_refused=on_refused
        )
        self.server: Server[Any] = Server(
            "pilothouse",
            version=__version__,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            # Else the SDK makes the whole list for each call, to hold the call's headers against one schema.
            get_tool_input_schema=self._input_schema,
        )

    async def serve_stdio(self) -> None:
        """Serve on standard input and output until the other side closes them."""
        async with stdio_server() as (reader, writer):
            await self.server.run(reader, writer, self.server.create_initialization_options())

    async def close(self) -> None:
        """Close every connection to a server."""
        for upstream in self._upstreams.values():
            await upstream.close()

    def has_headers(self, shown: str) -> bool:
        """Whether arguments of a tool travel as headers too.

        Args:
            shown: Name as it is listed, or as the charter has it.
        """
        return self._names.get(shown) in self._headed

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
                await self._pins.check(tool)
            except (ToolError, OSError, TimeoutError):
                continue
            contract, pin = tool.contract, tool.contract.upstream
            # A client refuses an answer without structured content where it was promised: a server that sends text alone promises none.
            is_promised = pin is not None and self._upstreams[pin.server].promises(pin.tool)
            shown.append(
                Tool(
                    name=call_name(name),
                    description=contract.description,
                    input_schema=contract.input,
                    output_schema=contract.output
                    if is_promised and contract.output.get("type") == "object"
                    else None,
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
        answer = await self.called(
            params.name,
            params.arguments or {},
            read_metadata(context.meta, getattr(context.request, "headers", None)),
            on_progress=context.session.report_progress if _wants_progress(context) else None,
        )
        return CallToolResult.model_validate(answer)

    async def called(
        self,
        shown: str,
        args: Mapping[str, Any],
        said: RequestMetadata,
        *,
        on_progress: ProgressFnT | None = None,
    ) -> dict[str, Any]:
        """Make one call through the tool layer.

        Args:
            shown: Name as it is listed, or as the charter has it.
            args: Arguments.
            said: What the request says about itself.
            on_progress: Told how far the server says it is.

        Returns:
            The answer as it stands on the wire of the latest revision, whether it is a result or a refusal.
        """
        try:
            said = await self._known(said)
            if shown in UNREAD_TOOLS and self._hides:
                about = answer_about_unread(self._runtime, shown, dict(args), said.run)
                return answer_of(await drive_async(about, _no_attempt))
            tool = self._tools.get(self._names.get(shown, ""))
            if tool is None:
                await self._note_unknown(shown, said)
                raise ToolError(  # noqa: TRY301 - one place turns refusals into answers
                    f"{ascii(shown)[1:-1][:UNKNOWN_CHARACTERS_MAX]} is no tool here",
                    remedy="Use a name from tools/list.",
                    kind="permission",
                )
            return await self._through(tool, dict(args), said, on_progress)
        except ToolError as error:
            return answer_of(error.as_tool_result(), is_error=True)

    async def _note_unknown(self, shown: str, said: RequestMetadata) -> None:
        """Leave the record of a refusal: which tools a model asks for that nobody declared is how a poisoned text is noticed."""
        if self._runtime.tasks is None:
            return
        # Without its arguments: nobody said what they are, and a record is for good.
        call = ToolCall(
            tool=ascii(shown)[1:-1][:UNKNOWN_CHARACTERS_MAX],
            args={},
            agent=self._runtime.agent,
            version=self._runtime.version,
            run=said.run,
            span_id=new_span_id(),
            parent_span_id=said.parent_span_id,
            call_id="",
            task_type=said.task_type or self._task_type,
            effect="read",
            integration="",
            contract="",
        )
        await asyncio.to_thread(self._runtime.tasks.refuse, call)

    async def _through(
        self, tool: GovernedTool, args: dict[str, Any], said: RequestMetadata, on_progress: ProgressFnT | None
    ) -> dict[str, Any]:
        upstream_tool = tool.contract.upstream
        assert upstream_tool is not None  # noqa: S101 - only such tools are kept
        upstream = self._upstreams[upstream_tool.server]
        answers: list[dict[str, Any]] = []
        checked: list[Any] = []
        span_id = new_span_id()
        call = self._runtime.door.filled(
            ToolCall(
                tool=tool.name,
                args=args,
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
        )

        telling = self._telling(tool, call, on_progress)

        def stop() -> None:
            """Raise for a pause that began while connecting to the server, which may take many seconds."""
            for one in self._runtime.door.stops:
                one.check(call)

        async def attempt() -> Any:
            await self._pins.check(tool)
            answer = await upstream.call(
                upstream_tool.tool, dict(call.args), on_progress=telling, before=stop
            )
            answer = self._without_secrets(answer)
            answers.append(answer)
            checked.append(data_of(tool, answer))
            return checked[-1]

        shown = await drive_async(call_through(self._runtime.door, tool, call), attempt)
        if checked and shown is checked[-1]:
            return self._labelled(call, answers[-1], shown)
        # A stored result, or one with fields that the model is not shown: what the server sent stays here.
        return answer_of(shown)

    def _labelled(self, call: ToolCall, answer: dict[str, Any], shown: Any) -> dict[str, Any]:
        """Label what an answer says beside its structured content: a model reads that as well."""
        presenter = self._runtime.door.presenter
        if presenter is None or not says_more(answer):
            return answer
        beside = {"content": answer["content"]}
        return answer if presenter.observe(call, beside) is beside else answer_of(shown)

    def _telling(
        self, tool: GovernedTool, call: ToolCall, on_progress: ProgressFnT | None
    ) -> ProgressFnT | None:
        """Return the progress callback of a call: numbers, and the server's text labelled, redacted, and left out where it is hidden."""
        if on_progress is None:
            return None
        broker, presenter = self._broker, self._runtime.door.presenter
        steps = count(1)

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if next(steps) > PROGRESS_TOLD_MAX:
                return
            if message is not None and tool.hides:
                message = None
            if message:
                message = (message if broker is None else broker.without(message))[:PROGRESS_CHARACTERS_MAX]
                if presenter is not None:
                    presenter.observe(call, {"progress": message})
            await on_progress(progress, total, message)

        return tell

    def _without_secrets(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Take a credential that a server sends back out of its answer, before anybody keeps or reads it."""
        if self._broker is None or not self._broker.has_given:
            return answer
        text = json.dumps(answer, ensure_ascii=False)
        clean = self._broker.without(text)
        return answer if clean == text else dict(json.loads(clean))

    async def _known(self, said: RequestMetadata) -> RequestMetadata:
        """Return the identity of a call; a task token overrides what the caller claims.

        Raises:
            ToolError: The token was given to nobody, or there is none where one is needed: a trace is no secret.
        """
        if self._runtime.tasks is None:
            return said
        if said.token is None:
            if self._runtime.tasks.needs_token(said.run):
                raise ToolError(
                    "a task was opened for this trace, and the call does not show its token",
                    remedy=f"Send the token that opening the task answered with, as the header {TASK_HEADER}.",
                    kind="permission",
                )
            return said
        try:
            run = self._runtime.tasks.known_run(said.token)
            if run is None:  # its refusal is put on record, which waits for a disk
                run = await asyncio.to_thread(self._runtime.tasks.run_of, said.token)
        except PilothouseError as error:
            raise ToolError(error.message, remedy=error.remedy, kind="permission") from error
        return replace(said, run=run)


async def _no_attempt() -> None:
    """Answer here without any backend."""


def _wants_progress(context: ServerRequestContext[Any]) -> bool:
    """Whether the caller asked for progress; otherwise the server is not asked for it."""
    return context.meta is not None and context.meta.get("progress_token") is not None
