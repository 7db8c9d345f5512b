# SPDX-License-Identifier: Apache-2.0
"""An MCP server of our own on standard input and output: tools that only read, each answered in a thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
from pydantic import BaseModel, ValidationError

from pilothouse import __version__
from pilothouse.errors import PilothouseError, UnknownName, UsageError

__all__ = ["ReadServer", "ReadTool"]

Asked = TypeVar("Asked", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTool(Generic[Asked]):
    """One tool.

    Attributes:
        name: As the client calls it.
        description: For the model that decides to call it.
        asked: Its arguments.
        said: Its result.
        answer: Reads; called in a thread, one call at a time.
    """

    name: str
    description: str
    asked: type[Asked]
    said: type[BaseModel]
    answer: Callable[[Asked], BaseModel]

    def offered(self) -> Tool:
        """Return the tool as a client lists it."""
        return Tool(
            name=self.name,
            description=self.description,
            input_schema=self.asked.model_json_schema(),
            output_schema=self.said.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
        )

    def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a call.

        Raises:
            UsageError: The arguments are not those of the tool.
        """
        try:
            asked = self.asked.model_validate(arguments)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the arguments"
            takes = ", ".join(self.asked.model_fields) or "none"
            raise UsageError(
                f"{self.name} cannot read {place}: {first['msg'].lower()}", remedy=f"It takes {takes}."
            ) from None
        return self.answer(asked).model_dump(mode="json")


class ReadServer:
    """Offers tools to one client.

    Attributes:
        server: The server of the official SDK.

    Args:
        name: What the client sees.
        tools: Its tools.
        instructions: What the client's model should know first, or None.
    """

    def __init__(self, name: str, tools: Sequence[ReadTool[Any]], *, instructions: str | None = None) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._turn = asyncio.Lock()
        self.server: Server[Any] = Server(
            name,
            version=__version__,
            instructions=instructions,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def serve_stdio(self) -> None:
        """Serve until the other side closes standard input."""
        async with stdio_server() as (reader, writer):
            await self.server.run(reader, writer, self.server.create_initialization_options())

    async def _list(
        self, _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[tool.offered() for tool in self._tools.values()])

    async def _call(
        self, _context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        try:
            tool = self._tools.get(params.name)
            if tool is None:
                raise UnknownName.among("tool", params.name, self._tools, remedy="Ask for the list of tools.")
            async with self._turn:
                said = await asyncio.to_thread(tool.call, params.arguments or {})
        except PilothouseError as error:
            refused = json.dumps(error.as_record(), ensure_ascii=False)
            return CallToolResult(content=[TextContent(type="text", text=refused)], is_error=True)
        return CallToolResult(
            content=[TextContent(type="text", text=json.dumps(said, ensure_ascii=False))],
            structured_content=said,
        )
