# SPDX-License-Identifier: Apache-2.0
"""MCP tools that a provider called itself: the calls bypass our proxy, so their spans are derived from the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pilothouse.runtime.gateway.sse import event_data
from pilothouse.runtime.loose_json import list_or_empty, object_or_empty

__all__ = ["ProviderCall", "calls_by_provider"]

CALLS_MAX = 200
"""Calls of one answer that get a span; more of the same say nothing else."""

MARKS = (b'"mcp_call"', b'"mcp_tool_use"')


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCall:
    """A call that a provider has made.

    Attributes:
        tool: Name of the tool, as its server has it.
        server: Host of the server, the name of a connector where the provider keeps its address, or None when the request does not say.
        has_failed: Whether it is said to have failed.
    """

    tool: str
    server: str | None
    has_failed: bool = False


def calls_by_provider(request: bytes, answer: bytes) -> list[ProviderCall]:
    """Return the calls of tools that an answer says were made by its provider.

    Args:
        request: Body of the request, which says where the servers are.
        answer: Body of the answer, whole or in events, without content encoding.

    Example:
        >>> asked = b'{"tools": [{"type": "mcp", "server_label": "crm", "server_url": "https://crm.example/mcp"}]}'
        >>> calls_by_provider(asked, b'{"output": [{"type": "mcp_call", "name": "delete", "server_label": "crm"}]}')
        [ProviderCall(tool='delete', server='crm.example', has_failed=False)]
    """
    if not any(mark in answer for mark in MARKS):
        return []
    servers = _servers(object_or_empty(request))
    found: dict[str, ProviderCall] = {}
    for place, item in enumerate(_items(answer)):
        kind, tool = item.get("type"), item.get("name")
        if kind not in {"mcp_call", "mcp_tool_use"} or not isinstance(tool, str):
            continue
        label = str(item.get("server_label") or item.get("server_name"))
        # A stream says an item when it is done, and once more with the whole answer.
        found[str(item.get("id") or place)] = ProviderCall(
            tool=tool,
            server=servers.get(label),
            has_failed=item.get("error") is not None or item.get("status") == "failed",
        )
        if len(found) >= CALLS_MAX:
            break
    return list(found.values())


def _items(answer: bytes) -> Iterator[Mapping[str, Any]]:
    if answer.lstrip()[:1] == b"{":
        yield from _parts(object_or_empty(answer))
        return
    for data in event_data(answer):
        if not any(mark in data for mark in MARKS):
            continue
        event = object_or_empty(data)
        if event.get("type") == "response.output_item.added":
            continue  # it is not made yet
        for name in ("item", "content_block"):
            if isinstance(event.get(name), dict):
                yield event[name]
        if isinstance(event.get("response"), dict):
            yield from _parts(event["response"])


def _parts(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("output", "content"):
        yield from (one for one in list_or_empty(document.get(name)) if isinstance(one, dict))


def _servers(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return where the servers of a request are, by the names that it gives them."""
    given = [*list_or_empty(asked.get("tools")), *list_or_empty(asked.get("mcp_servers"))]
    for item in list_or_empty(asked.get("input")):
        given += list_or_empty(item.get("tools")) if isinstance(item, dict) else []
    found: dict[str, str] = {}
    for one in given:
        if not isinstance(one, dict):
            continue
        address = one.get("server_url") or one.get("url")
        place = (
            _host(address) if isinstance(address, str) else one.get("connector_id") or one.get("tunnel_id")
        )
        name = one.get("server_label") or one.get("name")
        if isinstance(place, str) and isinstance(name, str):
            found[name] = place
    return found


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
