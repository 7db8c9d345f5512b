# SPDX-License-Identifier: Apache-2.0
"""Turn the messages to and from a model into one JSON text, and a preview of the last message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pilothouse.lake.limits import PREVIEW_CHARS_MAX
from pilothouse.lake.semconv import FLATTENED

__all__ = ["flattened_prefix", "json_text", "preview", "rebuild_list"]

USER_ROLES = frozenset({"user", "human"})
ASSISTANT_ROLES = frozenset({"assistant", "ai", "model"})

WRAPPERS = frozenset(
    {"message", "tool_call", "message_content", "document", "tool", "prompt", "completion", "image"}
)
"""Names that flattened lists repeat after each index and that say nothing."""

STATE_STARTS = ('{"messages":', '{ "messages"')
"""How the state of a graph begins when it is a conversation."""


class _Part(msgspec.Struct, gc=False):
    content: str = ""
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str = ""
    parts: list[_Part] = []


_decode_plain = msgspec.json.Decoder(list[_Message]).decode
_encoder = msgspec.json.Encoder(order="sorted")


def json_text(value: Any) -> str:
    """Return a value as text: a string as it is, anything else as canonical JSON.

    Example:
        >>> json_text({"b": 1, "a": [True, None]})
        '{"a":[true,null],"b":1}'
    """
    if value.__class__ is str:
        return str(value)
    return _encoder.encode(value).decode()


def rebuild_list(flat: Iterable[tuple[str, Any]]) -> list[Any]:
    """Rebuild the list that was flattened into attributes such as `0.message.content`.

    Args:
        flat: (key after the list's prefix, value), any order.

    Returns:
        Items in index order; text stays text, objects lose the wrapper names.

    Example:
        >>> rebuild_list([("1.message.content", "b"), ("0.message.role", "user")])
        [{'role': 'user'}, {'content': 'b'}]
    """
    root: dict[Any, Any] = {}
    for key, value in flat:
        node = root
        path = _path(key)
        for part in path[:-1]:
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        node[path[-1]] = value
    built = _lists(root)
    return built if isinstance(built, list) else [built]


def _path(key: str) -> list[str | int]:
    path: list[str | int] = []
    after_index = False
    parts = key.split(".", 31)
    for number, part in enumerate(parts):
        if part.isascii() and part.isdigit() and len(part) < 9:
            path.append(int(part))
            after_index = True
            continue
        if not (after_index and part in WRAPPERS and number + 1 < len(parts)):
            path.append(part)
        after_index = False
    return path


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(key, int) for key in node):
        return [_lists(node[key]) for key in sorted(node)]
    return {str(key): _lists(value) for key, value in node.items()}


def flattened_prefix(key: str) -> str | None:
    """Return the prefix of the flattened list that an attribute belongs to, or None.

    Example:
        >>> flattened_prefix("llm.input_messages.0.message.role")
        'llm.input_messages.'
    """
    second = key.find(".", key.find(".") + 1)
    prefix = key[: second + 1]
    return prefix if prefix in FLATTENED and key[second + 1 : second + 2].isdigit() else None


def preview(text: str, *, of_user: bool) -> str:
    """Return the last message of the user or the assistant, at most `PREVIEW_CHARS_MAX` characters.

    Args:
        text: A JSON list of messages in any convention, alone or as the `messages` of a graph's state, or any other
            text, shown as it is.
        of_user: Whose words.

    Example:
        >>> preview('[{"role":"user","parts":[{"type":"text","content":"Is it paid?"}]}]', of_user=True)
        'Is it paid?'
    """
    if text[:1] != "[" and not text.startswith(STATE_STARTS):
        return text[:PREVIEW_CHARS_MAX]
    try:
        for said in reversed(_decode_plain(text)):
            if said.role in (USER_ROLES if of_user else ASSISTANT_ROLES):
                words = said.content or " ".join(
                    [part.content or part.text for part in said.parts if part.content or part.text]
                )
                if words:
                    return words[:PREVIEW_CHARS_MAX]
    except msgspec.ValidationError:
        pass  # messages of another shape are read without types below, which is slower
    except (msgspec.DecodeError, RecursionError):
        return text[:PREVIEW_CHARS_MAX]
    try:
        messages = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text[:PREVIEW_CHARS_MAX]
    if isinstance(messages, dict):
        messages = messages.get("messages")
        if not isinstance(messages, list):
            return text[:PREVIEW_CHARS_MAX]
    roles = USER_ROLES if of_user else ASSISTANT_ROLES
    last = ""
    for message in reversed(messages):
        if not isinstance(message, dict):
            continue
        inner = message.get("data")
        if isinstance(inner, dict):  # LangChain dumps {"type": "ai", "data": {"content": ...}}
            message = {"role": message.get("type"), **inner}  # noqa: PLW2901 - the same message, unwrapped
        words = _words(message)
        if words and message.get("role") in roles:
            return words[:PREVIEW_CHARS_MAX]
        last = last or words
    return (last or text)[:PREVIEW_CHARS_MAX]


def _words(message: dict[str, Any]) -> str:
    for field in ("content", "parts", "contents", "text"):
        said = message.get(field)
        if isinstance(said, str) and said:
            return said
        if isinstance(said, list):
            words = [word for part in said if (word := _part_words(part))]
            if words:
                return " ".join(words)
    return ""


def _part_words(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        for field in ("text", "content"):
            if isinstance(part.get(field), str):
                return str(part[field])
    return ""
