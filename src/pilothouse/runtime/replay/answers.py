# SPDX-License-Identifier: Apache-2.0
"""The text and tool calls of a model's answer, in any protocol, streamed or not.

Two answers are compared by this, because ids and times differ between any two answers of a live model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pilothouse.core.charter.digest import canonical_json
from pilothouse.runtime.context.conversation import called_in

__all__ = ["Answer", "error_told", "read_answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Text and tool calls of an answer.

    Attributes:
        text: Text of it.
        tools: Tools with canonical arguments, in order.
        status: HTTP status.
    """

    text: str
    tools: tuple[tuple[str, str], ...] = ()
    status: int = 200


@dataclass(slots=True)
class _Building:
    text: list[str] = field(default_factory=list)
    calls: dict[str, list[str]] = field(default_factory=dict)
    """Key of a call → its name, then pieces of its arguments."""


def read_answer(status: int, body: bytes) -> Answer:
    r"""Parse an answer.

    Args:
        status: HTTP status.
        body: Body, JSON or a stream of events.

    Example:
        >>> read_answer(200, b'{"choices": [{"message": {"content": "yes"}}]}').text
        'yes'
        >>> read_answer(200, b'data: {"choices": [{"delta": {"content": "y"}}]}\n\ndata: [DONE]\n\n').text
        'y'
    """
    building = _Building()
    for document in _documents(body):
        _chat(document, building)
        _responses(document, building)
        _messages(document, building)
    tools = tuple((call[0], _canonical("".join(call[1:]))) for call in building.calls.values())
    return Answer(text="".join(building.text), tools=tools, status=status)


def error_told(body: bytes) -> str:
    """Return the message of an error answer, in either protocol, or empty.

    Example:
        >>> error_told(b'{"error": {"message": "no such key"}}')
        'no such key'
    """
    error = next((document.get("error") for document in _documents(body)), None)
    return str(error.get("message") or "") if isinstance(error, dict) else ""


def _documents(body: bytes) -> Iterator[dict[str, Any]]:
    # Split as bytes: text has more ends of a line than a stream, and a model may write each of them.
    lines = (
        [body]
        if body.lstrip().startswith(b"{")
        else [line.removeprefix(b"data:") for line in body.splitlines() if line.startswith(b"data:")]
    )
    for line in lines:
        try:
            document = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def _chat(document: dict[str, Any], building: _Building) -> None:
    for choice in _dicts(document.get("choices")):
        message = _dict(choice.get("message")) or _dict(choice.get("delta"))
        building.text.append(_text(message.get("content")))
        for place, call in enumerate(_dicts(message.get("tool_calls"))):
            called = _dict(call.get("function")) or _dict(call.get("custom"))
            held = building.calls.setdefault(f"chat{call.get('index', place)}", [""])
            held[0] += _text(called.get("name"))
            held.append(_text(called.get("arguments")) or _text(called.get("input")))


def _responses(document: dict[str, Any], building: _Building) -> None:
    if document.get("type") in ("response.completed", "response.incomplete"):
        document = _dict(document.get("response"))
    if document.get("object") != "response" or document.get("status") == "in_progress":
        return
    for place, item in enumerate(_dicts(document.get("output"))):
        called = called_in(item)
        if called is not None:
            name, given = called
            building.calls[f"resp{place}"] = [name, given if isinstance(given, str) else json.dumps(given)]
        building.text.append(_text(item.get("content")))


def _messages(document: dict[str, Any], building: _Building) -> None:
    kind = document.get("type")
    if kind == "message":
        for place, part in enumerate(_dicts(document.get("content"))):
            if part.get("type") == "tool_use":
                building.calls[f"use{place}"] = [_text(part.get("name")), json.dumps(part.get("input"))]
            building.text.append(_text(part.get("text")))
    if kind == "content_block_start":
        block = _dict(document.get("content_block"))
        if block.get("type") == "tool_use":
            building.calls[f"use{document.get('index')}"] = [_text(block.get("name"))]
    if kind == "content_block_delta":
        delta = _dict(document.get("delta"))
        building.text.append(_text(delta.get("text")))
        held = building.calls.get(f"use{document.get('index')}")
        if held is not None:
            held.append(_text(delta.get("partial_json")))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Return a text, or those of its parts; what is none is empty: a model's answer may have any shape."""
    return value if isinstance(value, str) else "".join(_text(part.get("text")) for part in _dicts(value))


def _canonical(arguments: str) -> str:
    try:
        return canonical_json(json.loads(arguments or "{}"))
    except (ValueError, RecursionError):
        return arguments
