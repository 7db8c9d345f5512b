# SPDX-License-Identifier: Apache-2.0
"""What was said last in a request, and what an answer says: the text that people and schemas look at, and its size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pilothouse.runtime.gateway.routes import Operation
from pilothouse.runtime.gateway.sse import event_data
from pilothouse.runtime.loose_json import list_or_empty, object_or_empty

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "FinalAnswer",
    "final_answer",
    "final_answers",
    "is_step",
    "question_asked",
    "spoken_input",
    "spoken_output",
    "written_tokens",
]

CHARACTERS_PER_TOKEN = 4
"""Where nobody counted."""

READ_BYTES_MAX = 2 << 20
"""Larger bodies leave no text in spans; the run log has them whole."""

SAMPLE_BYTES = 4 << 10
"""Of a stream that are read to estimate its tokens, some 20 events of its middle: it begins with what was asked for. The rest is
taken to be like them."""


class _Choice(msgspec.Struct):
    delta: Any = None


class _Piece(msgspec.Struct):
    """What of an event says what a model wrote."""

    type: Any = None
    delta: Any = None
    choices: list[_Choice] | None = None


_PIECE = msgspec.json.Decoder(_Piece)


PAUSES = ("pause_turn", "compaction")
"""Why a message ends before its model has: the client sends it back, and the model goes on."""

_STEP = re.compile(
    rb'"tool_calls"\s*:\s*\[\s*\{|"function_call"\s*:\s*\{|"type"\s*:\s*"tool_use"|"stop_reason"\s*:\s*"(?:%b)"'
    % "|".join(PAUSES).encode()
)
"""What a chat or a message says in its events when it asks for tools, or only pauses; in a text each quotation mark is escaped."""


class FinalAnswer(msgspec.Struct):
    """An answer of a model as a person or a schema sees it.

    Attributes:
        text: What it says.
        calls_tools: Whether it asks for tools: then it is a step, not the answer.
        is_whole: Whether the model came to its end.
    """

    text: str
    calls_tools: bool
    is_whole: bool


def spoken_input(body: bytes, operation: Operation) -> str:
    """Return the last thing that was said to the model, or empty.

    Example:
        >>> spoken_input(b'{"messages": [{"role": "user", "content": "hi"}]}', Operation.CHAT)
        'hi'
    """
    given = _given(body, operation)
    return _words(given[-1]) if given else ""


def question_asked(body: bytes, operation: Operation) -> str:
    """Return the last thing that a person said to the model: what tools returned since then is no question.

    Example:
        >>> asked = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "{}"}]}'
        >>> question_asked(asked, Operation.CHAT)
        'hi'
    """
    given = _given(body, operation)
    by_users = (one for one in reversed(given) if isinstance(one, Mapping) and one.get("role") == "user")
    said = next(filter(None, map(_words, by_users)), "")
    return said or spoken_input(body, operation)


def _given(body: bytes, operation: Operation) -> list[Any]:
    asked = _decoded(body)
    by_items = operation in {Operation.RESPONSES, Operation.EMBEDDINGS}
    given = asked.get("input" if by_items else "messages")
    return [given] if isinstance(given, str) else list_or_empty(given)


def _words(message: Any) -> str:
    if isinstance(message, str):
        return message
    if not isinstance(message, Mapping):
        return ""
    return _text(message.get("content") if "content" in message else message.get("output"))


def spoken_output(body: bytes, operation: Operation) -> str:
    """Return what an answer says, also one that came as events; empty when it cannot be read.

    Args:
        body: Of the answer, without content encoding.
        operation: What was asked for.
    """
    if operation is Operation.EMBEDDINGS or len(body) > READ_BYTES_MAX:
        return ""
    if body[:1] == b"{":
        return final_answer(body, operation).text
    parts = []
    for data in event_data(body):
        event = _decoded(data)
        for choice in list_or_empty(event.get("choices")):
            delta = choice.get("delta") if isinstance(choice, Mapping) else None
            if isinstance(delta, Mapping) and isinstance(delta.get("content"), str):
                parts.append(delta["content"])
        delta = event.get("delta")
        if isinstance(delta, Mapping) and isinstance(delta.get("text"), str):
            parts.append(delta["text"])
        elif event.get("type") == "response.output_text.delta" and isinstance(delta, str):
            parts.append(delta)
    return "".join(parts)


DONE_BY_PROVIDERS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)
"""Calls of tools that stand in an answer as done: the answer is the final one all the same."""


def _is_for_client(item: Mapping[str, Any], answered: frozenset[tuple[str, str]]) -> bool:
    """Whether an item of an answer asks the client for something before the model goes on.

    Shells and searches for tools run here or there; one that its provider has run has its output in the same answer.
    """
    kind = str(item.get("type", ""))
    if kind == "mcp_approval_request":
        return True
    is_done = (f"{kind}_output", str(item.get("call_id"))) in answered or (
        kind == "tool_search_call" and item.get("execution") == "server"
    )
    return kind.endswith("_call") and kind not in DONE_BY_PROVIDERS and not is_done


def written_tokens(body: bytes, operation: Operation) -> int:
    """Estimate the tokens that a model wrote, thoughts and arguments of tools among them, where it did not count itself.

    In a stream each piece comes in an envelope many times its size, so what counts is what stands in the pieces.

    Args:
        body: Of the answer, without content encoding; also one that broke off.
        operation: What was asked for.

    Example:
        >>> written_tokens(b'{"choices": [{"message": {"content": "four more words"}}]}', Operation.CHAT)
        3
    """
    if operation is Operation.EMBEDDINGS:
        return 0
    if body[:1] == b"{":
        answer = _decoded(body)
        if not answer:
            return len(body) // CHARACTERS_PER_TOKEN
        said = [answer.get("content"), answer.get("output")]
        said += [
            choice.get("message")
            for choice in list_or_empty(answer.get("choices"))
            if isinstance(choice, Mapping)
        ]
        return _characters(said) // CHARACTERS_PER_TOKEN
    sample = body
    if len(body) > SAMPLE_BYTES:
        begin = body.find(b"\n", (len(body) - SAMPLE_BYTES) // 2) + 1
        sample = body[begin : body.find(b"\n", begin + SAMPLE_BYTES - 1) + 1 or None]
    characters = events = 0
    for line in sample.splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            event = _PIECE.decode(line[5:])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        events += 1
        if event.type is not None and str(event.type).endswith("delta"):
            characters += _characters(event.delta)
        for choice in event.choices or ():
            characters += _characters(choice.delta)
    if not events:
        return len(body) // CHARACTERS_PER_TOKEN
    return characters * len(body) // len(sample) // CHARACTERS_PER_TOKEN


def is_step(events: bytes, operation: Operation) -> bool:
    """Return whether an answer that came as events asks its client for something, so that it is no final one.

    Args:
        events: Of the whole stream, without content encoding.
        operation: What was asked for.

    Example:
        >>> is_step(b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}' + bytes((10, 10)), Operation.CHAT)
        True
    """
    if operation is not Operation.RESPONSES:
        return _STEP.search(events) is not None
    begin = events.rfind(b"data:", 0, max(0, events.rfind(b'"response.completed"')))
    said = (_decoded(data).get("response") for data in event_data(events[begin:] if begin >= 0 else b""))
    return any(_only_answer(one, operation).calls_tools for one in said if isinstance(one, Mapping))


def final_answer(body: bytes, operation: Operation) -> FinalAnswer:
    """Read a whole answer of a model, of several choices the first.

    Args:
        body: Of the answer, without content encoding.
        operation: What was asked for.

    Example:
        >>> final_answer(b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}', Operation.CHAT).text
        'hi'
    """
    return final_answers(body, operation)[0]


def final_answers(body: bytes, operation: Operation) -> list[FinalAnswer]:
    """Read every choice of a whole answer of a model; one at least.

    Args:
        body: Of the answer, without content encoding.
        operation: What was asked for.
    """
    answer = _decoded(body)
    if operation is not Operation.CHAT:
        return [_only_answer(answer, operation)]
    return [_choice(one) for one in list_or_empty(answer.get("choices")) or [None]]


def _choice(choice: Any) -> FinalAnswer:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        return FinalAnswer("", calls_tools=False, is_whole=False)
    return FinalAnswer(
        _text(message.get("content")),
        calls_tools=bool(message.get("tool_calls") or message.get("function_call")),
        is_whole=choice.get("finish_reason") == "stop",
    )


def _only_answer(answer: Mapping[str, Any], operation: Operation) -> FinalAnswer:
    if operation is Operation.MESSAGES:
        blocks = [block for block in list_or_empty(answer.get("content")) if isinstance(block, Mapping)]
        return FinalAnswer(
            _text(blocks),
            calls_tools=any(block.get("type") == "tool_use" for block in blocks)
            or answer.get("stop_reason") in PAUSES,
            is_whole=answer.get("stop_reason") in ("end_turn", "stop_sequence"),
        )
    items = [item for item in list_or_empty(answer.get("output")) if isinstance(item, Mapping)]
    answered = frozenset((str(item.get("type")), str(item.get("call_id"))) for item in items)
    return FinalAnswer(
        "".join(_text(item.get("content")) for item in items if item.get("type") == "message"),
        calls_tools=any(_is_for_client(item, answered) for item in items),
        is_whole=answer.get("status") == "completed",
    )


def _decoded(body: bytes) -> Mapping[str, Any]:
    return {} if len(body) > READ_BYTES_MAX else object_or_empty(body)


NOT_WRITTEN = frozenset({"type", "role", "id", "call_id", "index", "status", "annotations", "signature"})
"""Fields of a message that are no words of the model."""


def _characters(value: Any) -> int:
    """Return how much text stands in a part of an answer."""
    if type(value) is str:
        return len(value)
    if type(value) is dict:
        size = 0
        for name, inner in value.items():
            if name not in NOT_WRITTEN:
                size += len(inner) if type(inner) is str else _characters(inner)
        return size
    return sum(map(_characters, value)) if type(value) is list else 0


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )
    return ""
