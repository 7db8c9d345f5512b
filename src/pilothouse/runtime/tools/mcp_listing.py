# SPDX-License-Identifier: Apache-2.0
"""The tools that an MCP server lists, all pages of them, and the digest of each tool's description."""

from __future__ import annotations

from mcp.client.client import Client
from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map
from mcp_types import Tool

from pilothouse.core.charter.contract import manifest_digest

__all__ = ["PAGES_MAX", "TOOLS_MAX", "is_plain", "listed_tools", "manifest_of"]

PAGES_MAX = 20
"""Pages of a list of tools; a server that has more has no end."""

TOOLS_MAX = 500
"""No model can choose among more."""


def manifest_of(tool: Tool) -> str:
    """Return the digest of everything that a server says about a tool; see `manifest_digest`."""
    said = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return manifest_digest(
        tool.name,
        description=tool.description,
        input_schema=said.get("inputSchema"),
        output_schema=said.get("outputSchema"),
        annotations=said.get("annotations"),
    )


async def listed_tools(client: Client) -> list[Tool]:
    """Return the tools that a server lists, at most `TOOLS_MAX` from `PAGES_MAX` pages."""
    found: list[Tool] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await client.list_tools(cursor=cursor)
        found.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None or len(found) >= TOOLS_MAX:
            break
    return found[:TOOLS_MAX]


def is_plain(tool: Tool) -> bool:
    """Whether no argument of a tool travels as a header as well; that is the SDK's to know.

    Args:
        tool: What a server says about it.
    """
    return find_invalid_x_mcp_header(tool.input_schema) is None and not x_mcp_header_map(tool.input_schema)
