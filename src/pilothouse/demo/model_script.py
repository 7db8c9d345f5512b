# SPDX-License-Identifier: Apache-2.0
"""What a scripted model reads and answers: the conversation as data, and a plain script that calls tools.

A script is a function from a conversation to a turn. It has no state and no dice, so the same conversation
always gets the same answer, whoever asks and in whatever order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Conversation", "Message", "Script", "ToolCall", "ToolOffer", "Turn", "call_tools_then_answer"]

ANSWER_CHARACTERS_MAX = 2_000
"""A scripted answer quotes tool results; this keeps it a page, not a dump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model asks for.

    Attributes:
        name: Tool name as it was offered.
        arguments: Arguments by name.
        call_id: Id that the result will carry; empty lets the server number it.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the conversation.

    Attributes:
        role: `system`, `user`, `assistant` or `tool`.
        text: Its text, empty for a pure tool call.
        tool_calls: Calls that an assistant message asked for.
        tool_call_id: For a tool message: which call it answers.
    """

    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOffer:
    """A tool that the model may call, with the JSON Schema of its arguments."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What a model is asked.

    Attributes:
        model: Model that was asked for.
        messages: Oldest first.
        tools: Tools on offer.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolOffer, ...] = ()

    @property
    def user_text(self) -> str:
        """The first user message: the task. Empty when there is none."""
        return next((message.text for message in self.messages if message.role == "user"), "")

    def results(self) -> tuple[tuple[ToolCall, str], ...]:
        """Return every tool call with its result, oldest first; calls without a result are left out."""
        answers = {m.tool_call_id: m.text for m in self.messages if m.role == "tool"}
        return tuple(
            (call, answers[call.call_id])
            for message in self.messages
            for call in message.tool_calls
            if call.call_id in answers
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a model answers: text, or tool calls.

    Attributes:
        text: Answer text.
        tool_calls: Calls it asks for.
        model: Model that answers; None is the one that was asked for.
        reasoning_tokens: Hidden reasoning, counted as output tokens.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    reasoning_tokens: int = 0


Script = Callable[[Conversation], Turn]
"""A function from a conversation to the model's turn."""


def call_tools_then_answer(conversation: Conversation) -> Turn:
    """Call each offered tool once, in order, with arguments found in the task, then sum up the results.

    Args:
        conversation: What the model is asked.

    Returns:
        The next tool call, or the final answer once every tool has answered.

    Example:
        >>> offer = ToolOffer(name="find_order", schema={"properties": {"order": {"type": "string"}}})
        >>> asked = Message(role="user", text="Where is order A-1234?")
        >>> turn = call_tools_then_answer(Conversation(model="m", messages=(asked,), tools=(offer,)))
        >>> turn.tool_calls[0].name, turn.tool_calls[0].arguments
        ('find_order', {'order': 'A-1234'})
    """
    done = conversation.results()
    called = {call.name for call, _ in done}
    for tool in conversation.tools:
        if tool.name not in called:
            arguments = _arguments(tool.schema, conversation.user_text)
            return Turn(tool_calls=(ToolCall(name=tool.name, arguments=arguments),))
    if not done:
        return Turn(text=f"You asked: {conversation.user_text}"[:ANSWER_CHARACTERS_MAX])
    findings = "; ".join(result for _, result in done)
    return Turn(text=f"Here is what I found: {findings}"[:ANSWER_CHARACTERS_MAX])


def _arguments(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Fill the schema's properties from the text: ids, numbers, else the text itself."""
    filled: dict[str, Any] = {}
    for name, details in schema.get("properties", {}).items():
        kind = details.get("type", "string")
        if kind in {"integer", "number"}:
            number = re.search(r"\d+(?:\.\d+)?", text)
            value = float(number.group()) if number else 0.0
            filled[name] = int(value) if kind == "integer" else value
        elif kind == "boolean":
            filled[name] = True
        elif details.get("enum"):
            filled[name] = details["enum"][0]
        else:
            ident = re.search(r"\b[A-Z]{1,6}-\d+\b", text)
            filled[name] = ident.group() if ident else text
    return filled
