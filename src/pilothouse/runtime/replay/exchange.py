# SPDX-License-Identifier: Apache-2.0
"""The model calls of a recorded run, each with the key that a request of a replay must have to be that call.

The key is the route and the canonical JSON of the body. Ids that the model minted are in the body, so what a request
consumed is part of its key and parallel calls need no order between them. A body without one canonical form (no JSON,
a key twice, a whole number beyond 2^53) is compared byte by byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.core.charter.digest import INTEGER_EXACT_MAX, canonical_json
from pilothouse.core.evidence.run_log import ModelRequest, ModelResponse, RecordedRun

__all__ = ["Exchange", "ToolUse", "document_of", "exchanges", "request_key", "tool_results", "tool_uses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A recorded model call.

    Attributes:
        number: Its place among the calls of the run, from 1, by when they began.
        route: Path from `/v1` on.
        headers: Headers that belong to the request.
        body: Request body.
        document: Parsed body, or None where it has no canonical form.
        key: What a request must have to be this call.
        response: The answer.
    """

    number: int
    route: str
    headers: Mapping[str, str]
    body: bytes
    document: dict[str, Any] | None
    key: str
    response: ModelResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool call as a request shows it.

    Attributes:
        call_id: The model's id of it.
        name: Tool name as the model says it.
        args: Canonical arguments.
    """

    call_id: str
    name: str
    args: str


def exchanges(recorded: RecordedRun) -> tuple[Exchange, ...]:
    """Return the calls of a run that were answered, in order.

    Args:
        recorded: The run.
    """
    answers = {
        logged.call: logged.event for logged in recorded.events if isinstance(logged.event, ModelResponse)
    }
    found: list[Exchange] = []
    for logged in recorded.events:
        event = logged.event
        if not isinstance(event, ModelRequest):
            continue
        response = answers.get(logged.call)
        if response is None or response.status == 0:
            continue  # the client had gone: it never saw an answer
        found.append(
            Exchange(
                number=len(found) + 1,
                route=event.route,
                headers=event.headers,
                body=event.body,
                document=document_of(event.body),
                key=request_key(event.route, event.body),
                response=response,
            )
        )
    return tuple(found)


def document_of(body: bytes) -> dict[str, Any] | None:
    """Return a body as a JSON object, or None where it has no one canonical form.

    Args:
        body: Any bytes.

    Example:
        >>> document_of(b'{"a": 1}'), document_of(b'{"a": 1, "a": 2}'), document_of(b'{"a": 9007199254740993}')
        ({'a': 1}, None, None)
    """
    try:
        document = json.loads(
            body, object_pairs_hook=_only_once, parse_int=_exact, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def request_key(route: str, body: bytes) -> str:
    """Return what makes two requests the same.

    Args:
        route: Path from `/v1` on.
        body: Request body.

    Example:
        >>> request_key("/v1/x", b'{"a":1,"b":2}') == request_key("/v1/x", b'{ "b": 2, "a": 1.0 }')
        True
    """
    document = document_of(body)
    try:
        text = body if document is None else canonical_json(document).encode()
    except (ValueError, UnicodeEncodeError):
        text = body
    return hashlib.sha256(route.encode() + b"\n" + text).hexdigest()


def tool_uses(document: Mapping[str, Any]) -> dict[str, ToolUse]:
    """Return the tool calls that a request shows, by id, in any of the three protocols.

    Args:
        document: Parsed request.

    Example:
        >>> tool_uses({"input": [{"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}]})
        {'c': ToolUse(call_id='c', name='look', args='{}')}
    """
    found: dict[str, ToolUse] = {}
    for item in _items(document):
        if item.get("type") == "function_call":
            _add(found, item.get("call_id"), item.get("name"), item.get("arguments"))
        for call in item.get("tool_calls") or ():
            function = call.get("function") or {}
            _add(found, call.get("id"), function.get("name"), function.get("arguments"))
        for part in _parts(item):
            if part.get("type") == "tool_use":
                _add(found, part.get("id"), part.get("name"), part.get("input"))
    return found


def tool_results(document: Mapping[str, Any]) -> Iterable[tuple[str, str, dict[str, Any], str]]:
    """Yield call id, path, the object that holds the result, and the key of the result in it.

    Args:
        document: Parsed request.

    Example:
        >>> list(tool_results({"messages": [{"role": "tool", "tool_call_id": "c", "content": "7"}]}))[0][:2]
        ('c', '$.messages[0]')
    """
    for name in ("messages", "input"):
        listed = document.get(name)
        for place, item in enumerate(listed if isinstance(listed, list) else ()):
            if not isinstance(item, dict):
                continue
            path = f"$.{name}[{place}]"
            if item.get("role") == "tool" and isinstance(item.get("tool_call_id"), str):
                yield item["tool_call_id"], path, item, "content"
            elif item.get("type") == "function_call_output" and isinstance(item.get("call_id"), str):
                yield item["call_id"], path, item, "output"
            for at, part in enumerate(item["content"] if isinstance(item.get("content"), list) else ()):
                if isinstance(part, dict) and part.get("type") == "tool_result":
                    yield str(part.get("tool_use_id")), f"{path}.content[{at}]", part, "content"


def _items(document: Mapping[str, Any]) -> list[dict[str, Any]]:
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
    except (ValueError, TypeError):
        return str(args)


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) < len(pairs):
        raise ValueError("a key stands twice")
    return built


def _exact(text: str) -> int:
    number = int(text)
    if abs(number) > INTEGER_EXACT_MAX:
        raise ValueError("a whole number that not every reader keeps exactly")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
