# SPDX-License-Identifier: Apache-2.0
"""Side effects that a request allows its provider: running tools that reach other systems, keeping state.

Tools are known by their types, which providers add every month. One that nobody knows here counts as one that reaches others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pilothouse.runtime.loose_json import list_or_empty

__all__ = ["provider_effect"]

DATED = re.compile(r"_\d{8}$|(?:_preview)?(?:_\d{4}_\d{2}_\d{2})?$")
"""How versions of a provider's tool end."""

CALLED_BY_CLIENT = frozenset(
    {
        "function", "custom", "computer", "computer_use", "computer_toolset", "browser_toolset", "apply_patch", "local_shell", "bash",
        "text_editor", "memory", "namespace", "programmatic_tool_calling",
    }
)  # fmt: skip
"""What a model asks its client for: nothing happens unless the client does it."""

LOOKING = frozenset(
    {
        "web_search", "web_fetch", "file_search", "image_generation", "code_execution", "tool_search", "tool_search_tool_bm25",
        "tool_search_tool_regex", "advisor",
    }
)  # fmt: skip
"""What runs at the provider and changes nothing elsewhere: it looks, draws, or computes without a network."""

HELD_THERE = {
    "conversation": "the provider would write into the conversation that it keeps",
    "thread": "the provider would write into the conversation that it keeps",
    "prompt": "the provider would add a prompt that it keeps, with whatever tools stand in it",
}
"""Fields of a request whose effect outlasts it, or stands elsewhere."""

KEPT_CONTAINER = "the provider would work in a container that it keeps"


def provider_effect(document: Mapping[str, Any]) -> str:
    """Return the side effect that a request allows its provider, or empty.

    Args:
        document: Parsed body of a chat, responses or messages request.

    Example:
        >>> provider_effect({"tools": [{"type": "mcp", "server_url": "https://crm.example"}]})
        'the provider itself would call an MCP server'
        >>> provider_effect({"tools": [{"type": "function", "name": "mcp"}, {"name": "of_anthropic", "input_schema": {}}]})
        ''
    """
    for name, effect in HELD_THERE.items():
        if document.get(name) is not None:
            return effect
    container = document.get("container")
    if isinstance(container, str) or (isinstance(container, Mapping) and container.get("id") is not None):
        return KEPT_CONTAINER
    if document.get("mcp_servers"):
        return "the provider itself would call an MCP server"
    return next(filter(None, map(_effect, _tools(document))), "")


def _tools(document: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the tools in a request: declared, and in items and parts of its conversation."""
    yield from list_or_empty(document.get("tools"))
    for name in ("input", "messages"):
        for item in list_or_empty(document.get(name)):
            if not isinstance(item, Mapping):
                continue
            yield from list_or_empty(item.get("tools"))
            for part in list_or_empty(item.get("content")):
                added = part.get("tool") if isinstance(part, Mapping) else None
                if isinstance(added, Mapping) and "definition" in added:
                    yield added["definition"]


def _effect(tool: Any) -> str:
    if not isinstance(tool, Mapping):
        return ""  # the provider refuses it
    kind = tool.get("type")
    if kind is None:
        return ""  # a client's own, as Anthropic has it
    name = DATED.sub("", kind, count=1) if isinstance(kind, str) else ""
    if name in CALLED_BY_CLIENT or name in LOOKING:
        return ""
    if name.startswith("mcp"):
        return "the provider itself would call an MCP server"
    if name in {"code_interpreter", "shell"}:
        return _effect_of_place(tool.get("container" if name == "code_interpreter" else "environment"))
    return f"the provider would run {str(kind)[:80]!r}, of which nobody here knows what it changes"


def _effect_of_place(place: Any) -> str:
    """Return what commands at the provider can reach, by where they run."""
    if place is None or (isinstance(place, Mapping) and place.get("type") == "local"):
        return ""
    if not isinstance(place, Mapping) or place.get("type") not in {"auto", "container_auto"}:
        return KEPT_CONTAINER
    policy = place.get("network_policy")
    if policy is None or (isinstance(policy, Mapping) and policy.get("type") == "disabled"):
        return ""
    return "the provider would run commands that reach other systems"
