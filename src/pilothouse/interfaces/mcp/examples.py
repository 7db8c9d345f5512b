# SPDX-License-Identifier: Apache-2.0
"""An MCP server with one tool: the reviewed examples most like an input, for an agent that speaks MCP and not HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

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
from pilothouse.errors import PilothouseError, UsageError
from pilothouse.workflows.curation.few_shots import FewShots

__all__ = ["ExampleServer"]

TOOL: Final = "find_examples"
K_MAX: Final = 20

_TEXT: Final = {"type": "string"}
_TOOL = Tool(
    name=TOOL,
    description="Return past inputs like this one with the answers that people found right, best match first.",
    input_schema={
        "type": "object",
        "properties": {
            "input": _TEXT,
            "task_type": _TEXT,
            "k": {"type": "integer", "minimum": 1, "maximum": K_MAX},
        },
        "required": ["input"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {
            "version": _TEXT,
            "examples": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"input": _TEXT, "output": _TEXT, "task_type": _TEXT},
                    "required": ["input", "output", "task_type"],
                },
            },
        },
        "required": ["version", "examples"],
    },
    annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True),
)


class ExampleServer:
    """The examples of one agent.

    Args:
        few_shots: The libraries.
        agent: Whose examples these are; another agent's are never shown.
    """

    def __init__(self, few_shots: FewShots, agent: str) -> None:
        self._few_shots = few_shots
        self._agent = agent
        self.server: Server[Any] = Server(
            "pilothouse-examples", version=__version__, on_list_tools=self._list, on_call_tool=self._call
        )

    async def serve_stdio(self) -> None:
        """Serve on standard input and output until the other side closes them."""
        async with stdio_server() as (reader, writer):
            await self.server.run(reader, writer, self.server.create_initialization_options())

    async def _list(
        self, _context: ServerRequestContext[Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_TOOL])

    async def _call(
        self, _context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        try:
            said = await asyncio.to_thread(self._found, params.name, params.arguments or {})
        except PilothouseError as error:
            refused = error.as_record()
            return CallToolResult(content=[TextContent(type="text", text=json.dumps(refused))], is_error=True)
        return CallToolResult(
            content=[TextContent(type="text", text=json.dumps(said, ensure_ascii=False))],
            structured_content=said,
        )

    def _found(self, tool: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        text, task_type, k = asked.get("input"), asked.get("task_type"), asked.get("k", 5)
        fits = isinstance(text, str) and type(k) is int and (task_type is None or isinstance(task_type, str))
        if tool != TOOL or not isinstance(text, str) or not fits:
            raise UsageError(
                f"{TOOL} takes `input`, and if need be `task_type` and `k`",
                remedy=f'For example {TOOL} with {{"input": "invoice of Acme", "k": 5}}.',
            )
        version, examples = self._few_shots.find(self._agent, text, task_type=task_type, k=k)
        return {
            "version": version,
            "examples": [
                {"input": one.input, "output": one.output, "task_type": one.task_type} for one in examples
            ],
        }
