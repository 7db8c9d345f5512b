# SPDX-License-Identifier: Apache-2.0
"""The OpenAI protocol of the stub model server: bodies in, bodies and event streams out.

Both APIs are spoken, chat completions and responses, because frameworks differ in which one they call. Usage is
counted the same way for both: four characters are a token, and a prompt prefix that is long enough is reported as
read from the cache, so that every token class of the telemetry has something in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pilothouse.demo.model_script import Conversation, Message, ToolCall, ToolOffer, Turn
from pilothouse.errors import MalformedRecord

__all__ = [
    "chat_body",
    "chat_stream",
    "parse_chat",
    "parse_responses",
    "responses_body",
    "responses_stream",
]

CHARACTERS_PER_TOKEN = 4
CACHE_BLOCK_TOKENS = 64
"""Prompts share their system message; whole blocks of it count as read from the cache."""

MESSAGES_MAX = 400
"""A conversation longer than this is a loop, not a task."""

STREAM_PIECE_CHARACTERS = 24
CREATED_AT = 1_767_225_600
"""A fixed `created` time: the stub answers the same bytes to the same question."""


def parse_chat(body: Mapping[str, Any]) -> Conversation:
    """Read the body of a chat completion request.

    Args:
        body: Parsed JSON.

    Raises:
        MalformedRecord: `messages` is missing, empty or too long.

    Example:
        >>> parse_chat({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).user_text
        'hi'
    """
    messages = tuple(_chat_message(entry) for entry in _entries(body.get("messages")))
    tools = tuple(
        ToolOffer(name=tool["function"]["name"], schema=tool["function"].get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )
    return Conversation(model=str(body.get("model", "")), messages=messages, tools=tools)


def parse_responses(body: Mapping[str, Any]) -> Conversation:
    """Read the body of a responses request.

    Args:
        body: Parsed JSON.

    Raises:
        MalformedRecord: `input` is missing, empty or too long.

    Example:
        >>> parse_responses({"model": "m", "input": "hi"}).user_text
        'hi'
    """
    given = body.get("input")
    entries = _entries([{"role": "user", "content": given}] if isinstance(given, str) else given)
    messages = [Message(role="system", text=str(body["instructions"]))] if body.get("instructions") else []
    for entry in entries:
        match entry.get("type", "message"):
            case "function_call":
                call = ToolCall(
                    name=entry["name"], arguments=_arguments(entry["arguments"]), call_id=entry["call_id"]
                )
                messages.append(Message(role="assistant", tool_calls=(call,)))
            case "function_call_output":
                text = _text(entry.get("output"))
                messages.append(Message(role="tool", text=text, tool_call_id=entry["call_id"]))
            case "message":
                messages.append(Message(role=_role(entry), text=_text(entry.get("content"))))
            case _:
                continue
    tools = tuple(
        ToolOffer(name=tool["name"], schema=tool.get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )
    return Conversation(model=str(body.get("model", "")), messages=tuple(messages), tools=tools)


def chat_body(conversation: Conversation, turn: Turn) -> dict[str, Any]:
    """Render a turn as a chat completion.

    Example:
        >>> asked = Conversation(model="m", messages=(Message(role="user", text="hi"),))
        >>> chat_body(asked, Turn(text="hello", model="m2"))["model"]
        'm2'
    """
    ident = _ident(conversation, turn)
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.tool_calls:
        message["tool_calls"] = [_chat_call(call, ident, at) for at, call in enumerate(turn.tool_calls)]
    return {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "created": CREATED_AT,
        "model": turn.model or conversation.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(turn), "logprobs": None}],
        "usage": _chat_usage(conversation, turn),
    }


def chat_stream(conversation: Conversation, turn: Turn, *, include_usage: bool) -> Iterator[bytes]:
    """Render a turn as the server-sent events of a streamed chat completion.

    Args:
        conversation: What was asked.
        turn: What is answered.
        include_usage: Whether the caller asked for a last chunk with usage.

    Example:
        >>> asked = Conversation(model="m", messages=(Message(role="user", text="hi"),))
        >>> list(chat_stream(asked, Turn(text="hello"), include_usage=True))[-1].strip()
        b'data: [DONE]'
    """
    ident = _ident(conversation, turn)
    base = {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion.chunk",
        "created": CREATED_AT,
        "model": turn.model or conversation.model,
    }

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**base, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for at, call in enumerate(turn.tool_calls):
        yield chunk({"tool_calls": [{"index": at, **_chat_call(call, ident, at)}]})
    for piece in _pieces(turn.text):
        yield chunk({"content": piece})
    yield chunk({}, _finish(turn))
    if include_usage:
        yield _event({**base, "choices": [], "usage": _chat_usage(conversation, turn)})
    yield b"data: [DONE]\n\n"


def responses_body(conversation: Conversation, turn: Turn) -> dict[str, Any]:
    """Render a turn as a response of the responses API.

    Example:
        >>> asked = Conversation(model="m", messages=(Message(role="user", text="hi"),))
        >>> responses_body(asked, Turn(text="hello"))["output"][0]["content"][0]["text"]
        'hello'
    """
    ident = _ident(conversation, turn)
    output: list[dict[str, Any]] = [
        {
            "type": "function_call",
            "id": f"fc_{ident}_{at}",
            "call_id": call.call_id or f"call_{ident}_{at}",
            "name": call.name,
            "arguments": json.dumps(call.arguments),
            "status": "completed",
        }
        for at, call in enumerate(turn.tool_calls)
    ]
    if turn.text or not output:
        content = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        output.append(
            {
                "type": "message",
                "id": f"msg_{ident}",
                "role": "assistant",
                "status": "completed",
                "content": [content],
            }
        )
    return _response(conversation, turn, ident, output)


def responses_stream(conversation: Conversation, turn: Turn) -> Iterator[bytes]:
    """Render a turn as the server-sent events of a streamed response.

    Example:
        >>> asked = Conversation(model="m", messages=(Message(role="user", text="hi"),))
        >>> events = list(responses_stream(asked, Turn(text="hello")))
        >>> events[-1].startswith(b"event: response.completed")
        True
    """
    body = responses_body(conversation, turn)
    started = {**body, "status": "in_progress", "output": [], "usage": None}
    number = iter(range(1_000_000))

    def event(kind: str, **fields: Any) -> bytes:
        payload = {"type": kind, "sequence_number": next(number), **fields}
        return f"event: {kind}\n".encode() + _event(payload)

    yield event("response.created", response=started)
    for at, item in enumerate(body["output"]):
        yield event("response.output_item.added", output_index=at, item={**item, "status": "in_progress"})
        if item["type"] == "message":
            where = {"item_id": item["id"], "output_index": at, "content_index": 0}
            part = item["content"][0]
            yield event("response.content_part.added", **where, part={**part, "text": ""})
            for piece in _pieces(part["text"]):
                yield event("response.output_text.delta", **where, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, part=part)
        yield event("response.output_item.done", output_index=at, item=item)
    yield event("response.completed", response=body)


def _entries(given: Any) -> list[Mapping[str, Any]]:
    """Return the list of messages, or raise for one that is missing, empty or endless."""
    if not isinstance(given, list) or not given or not all(isinstance(e, Mapping) for e in given):
        raise MalformedRecord("the request has no messages", remedy="Send at least one user message.")
    if len(given) > MESSAGES_MAX:
        raise MalformedRecord(
            f"{len(given)} messages, at most {MESSAGES_MAX} are read",
            remedy="Look for a loop in the agent: `pilothouse traces --limit 1`.",
        )
    return given


def _chat_message(entry: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(
            name=call["function"]["name"],
            arguments=_arguments(call["function"]["arguments"]),
            call_id=call["id"],
        )
        for call in entry.get("tool_calls") or ()
    )
    return Message(
        role=_role(entry),
        text=_text(entry.get("content")),
        tool_calls=calls,
        tool_call_id=str(entry.get("tool_call_id", "")),
    )


def _role(entry: Mapping[str, Any]) -> str:
    role = str(entry.get("role", "user"))
    return "system" if role == "developer" else role


def _text(content: Any) -> str:
    """Return the text of a content that is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return "" if content is None else json.dumps(content)


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        parsed = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _ident(conversation: Conversation, turn: Turn) -> str:
    """Return an id that depends on question and answer only."""
    seen = repr((conversation.model, conversation.messages, turn))
    return hashlib.sha256(seen.encode()).hexdigest()[:24]


def _finish(turn: Turn) -> str:
    return "tool_calls" if turn.tool_calls else "stop"


def _chat_call(call: ToolCall, ident: str, at: int) -> dict[str, Any]:
    return {
        "id": call.call_id or f"call_{ident}_{at}",
        "type": "function",
        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
    }


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _count(conversation: Conversation, turn: Turn) -> tuple[int, int, int]:
    """Return input, cached and output tokens; cached is part of input, reasoning part of output."""
    given = sum(
        _tokens(message.text)
        + sum(_tokens(json.dumps(call.arguments)) + 4 for call in message.tool_calls)
        + 3
        for message in conversation.messages
    ) + sum(_tokens(json.dumps(tool.schema)) for tool in conversation.tools)
    shared = sum(_tokens(m.text) for m in conversation.messages if m.role == "system")
    cached = shared // CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS
    made = _tokens(turn.text) + sum(_tokens(json.dumps(call.arguments)) + 4 for call in turn.tool_calls)
    return max(given, 1), cached, max(made, 1) + turn.reasoning_tokens


def _chat_usage(conversation: Conversation, turn: Turn) -> dict[str, Any]:
    given, cached, made = _count(conversation, turn)
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
    }


def _response(
    conversation: Conversation, turn: Turn, ident: str, output: list[dict[str, Any]]
) -> dict[str, Any]:
    given, cached, made = _count(conversation, turn)
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": CREATED_AT,
        "status": "completed",
        "model": turn.model or conversation.model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
            "total_tokens": given + made,
        },
    }


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), STREAM_PIECE_CHARACTERS):
        yield text[at : at + STREAM_PIECE_CHARACTERS]


def _event(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"
