# SPDX-License-Identifier: Apache-2.0
"""Tool calls and tool results in a request, in any of the three protocols."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.digest import canonical_json

__all__ = [
    "ToolResult",
    "ToolUse",
    "called_in",
    "conversation_items",
    "is_all_text",
    "is_said_by_model",
    "last_said",
    "tool_names",
    "tool_results",
    "tool_uses",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool call in a request.

    Attributes:
        call_id: The model's id of it.
        name: Tool name as the model says it.
        args: Canonical arguments.
    """

    call_id: str
    name: str
    args: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A tool result in its place in a request.

    Attributes:
        call_id: The model's id of the call that it answers.
        path: JSON path of the item that holds it.
        item: That item of the request.
        key: Key of the result in the item.
    """

    call_id: str
    path: str
    item: dict[str, Any]
    key: str

    @property
    def is_given(self) -> bool:
        """Whether the item holds a result at all."""
        return self.key in self.item

    @property
    def content(self) -> Any:
        """The result; None when the item holds none."""
        return self.item.get(self.key)

    def replace(self, content: Any) -> None:
        """Replace the result in the request."""
        self.item[self.key] = content


def tool_uses(document: Mapping[str, Any]) -> dict[str, ToolUse]:
    """Return the tool calls in a request by id, in any of the three protocols.

    Example:
        >>> tool_uses({"input": [{"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}]})
        {'c': ToolUse(call_id='c', name='look', args='{}')}
    """
    found: dict[str, ToolUse] = {}
    for item in conversation_items(document):
        called = called_in(item)
        if called is not None:
            _add(found, item.get("call_id"), *called)
        calls = item.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            called = called_in(call)
            if called is not None:
                _add(found, call.get("id"), *called)
        for part in _parts(item):
            if part.get("type") == "tool_use":
                _add(found, part.get("id"), part.get("name"), part.get("input"))
    return found


def called_in(item: Any) -> tuple[str, Any] | None:
    """Return the tool call of an item, or None when it is no tool call.

    Args:
        item: An item of `input` or `output`, or one of `tool_calls`.

    Example:
        >>> called_in({"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"})
        ('sh', 'ls')
        >>> called_in({"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}})
        ('local_shell_call', {'command': ['ls']})
        >>> called_in({"type": "web_search_call", "id": "w"}) is None
        True
    """
    if not isinstance(item, dict):
        return None
    kind = str(item.get("type"))
    if kind in ALWAYS_FOR_CLIENT or (kind.endswith("_call") and isinstance(item.get("call_id"), str)):
        given = next((item[name] for name in GIVEN if item.get(name) is not None), None)
        return str(item.get("name") or kind), given
    for name in ("function", "custom"):
        called = item.get(name)
        if isinstance(called, dict):
            return str(called.get("name")), called.get("arguments", called.get("input"))
    return None


ALWAYS_FOR_CLIENT = frozenset({"function_call", "custom_tool_call"})
"""What a provider cannot do by itself; of other kinds those that it has done have no `call_id`."""

GIVEN = ("arguments", "input", "action", "actions", "operation")
"""Where a call says with what, by the kind of its tool."""


def tool_results(document: Mapping[str, Any]) -> Iterable[ToolResult]:
    """Yield the tool results of a request in its order, in any of the three protocols.

    Example:
        >>> [found] = tool_results({"messages": [{"role": "tool", "tool_call_id": "c", "content": "7"}]})
        >>> found.call_id, found.path, found.content
        ('c', '$.messages[0]', '7')
    """
    for name in ("messages", "input"):
        listed = document.get(name)
        for place, item in enumerate(listed if isinstance(listed, list) else ()):
            if not isinstance(item, dict):
                continue
            path = f"$.{name}[{place}]"
            if item.get("role") == "tool" and isinstance(item.get("tool_call_id"), str):
                yield ToolResult(call_id=item["tool_call_id"], path=path, item=item, key="content")
            elif str(item.get("type")).endswith("_call_output") and isinstance(item.get("call_id"), str):
                yield ToolResult(call_id=item["call_id"], path=path, item=item, key="output")
            for at, part in enumerate(item["content"] if isinstance(item.get("content"), list) else ()):
                if isinstance(part, dict) and part.get("type") == "tool_result":
                    yield ToolResult(
                        call_id=str(part.get("tool_use_id")),
                        path=f"{path}.content[{at}]",
                        item=part,
                        key="content",
                    )


def tool_names(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the tools declared in a request.

    Example:
        >>> sorted(tool_names({"tools": [{"function": {"name": "look_up"}}, {"name": "recall"}]}))
        ['look_up', 'recall']
    """
    listed = document.get("tools")
    tools = [tool for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
    found = [tool["function"] if isinstance(tool.get("function"), dict) else tool for tool in tools]
    return frozenset(one["name"] for one in found if isinstance(one.get("name"), str))


def is_all_text(document: Mapping[str, Any]) -> bool:
    """Return whether the whole input of a request is text within it.

    Images, files and sealed reasoning have no tokens that their bytes tell, and a conversation that the provider keeps
    is not here.

    Example:
        >>> is_all_text({"messages": [{"role": "user", "content": "hi"}]})
        True
        >>> is_all_text({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]})
        False
    """
    if any(document.get(name) for name in KEPT_ELSEWHERE):
        return False
    return all(
        one.get("type") is None or (isinstance(one["type"], str) and one["type"] in TEXT_TYPES)
        for item in conversation_items(document)
        for one in _nested(item)
    )


KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt", "thread")
TEXT_TYPES = frozenset(
    {"message", "text", "input_text", "output_text", "refusal", "tool_use", "tool_result", "thinking"}
    | {"function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)


def _nested(item: Mapping[str, Any], depth: int = 3) -> list[Mapping[str, Any]]:
    """Return an item of a conversation and its parts, those of tool results included; no protocol nests deeper."""
    found = [item]
    for name in ("content", "output"):
        inner = item.get(name)
        if isinstance(inner, list) and depth:
            found += [one for part in inner if isinstance(part, dict) for one in _nested(part, depth - 1)]
    return found


def is_said_by_model(item: Any) -> bool:
    """Whether an item of a conversation comes from the model: a message or a tool call.

    Example:
        >>> is_said_by_model({"role": "assistant", "content": "Yes."}), is_said_by_model({"role": "user"})
        (True, False)
    """
    if not isinstance(item, dict):
        return False
    said_as_item = item.get("type") in ("function_call", "custom_tool_call", "reasoning")
    return item.get("role") == "assistant" or said_as_item


def last_said(document: Mapping[str, Any]) -> str:
    """Return the text of the last item in a request, in any of the three protocols; empty without one.

    Example:
        >>> last_said({"messages": [{"role": "user", "content": [{"type": "text", "text": "Where is 7?"}]}]})
        'Where is 7?'
    """
    if isinstance(document.get("input"), str):
        return str(document["input"])
    items = conversation_items(document)
    last = items[-1] if items else {}
    said = last.get("content") if "content" in last else last.get("output")
    if isinstance(said, str):
        return said
    texts = (part.get("text") or part.get("content") for part in _parts({"content": said}))
    return " ".join(text for text in texts if isinstance(text, str))


def conversation_items(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the items of the conversation in a request, in any of the three protocols; empty for text alone.

    Example:
        >>> conversation_items({"messages": [{"role": "user", "content": "7"}]}), conversation_items({"input": "7"})
        ([{'role': 'user', 'content': '7'}], [])
    """
    for name in ("messages", "input"):
        listed = document.get(name)
        if isinstance(listed, list):
            return [item for item in listed if isinstance(item, dict)]
    return []


def _parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _add(found: dict[str, ToolUse], call_id: Any, name: Any, args: Any) -> None:
    if isinstance(call_id, str):
        found[call_id] = ToolUse(call_id=call_id, name=str(name), args=_canonical_args(args))


def _canonical_args(args: Any) -> str:
    try:
        return canonical_json(json.loads(args) if isinstance(args, str) else args)
    except (ValueError, TypeError, RecursionError):
        return str(args)
