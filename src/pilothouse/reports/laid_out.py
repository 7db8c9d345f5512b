# SPDX-License-Identifier: Apache-2.0
"""Texts of an agent as a person reads them: a conversation as its words, JSON in lines (text → text)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pilothouse.core.evidence.messages import messages_of

__all__ = ["in_lines", "laid_out"]

PRETTY_CHARS_MAX = 64_000
"""Of text that is laid out; more is downloaded, or read as it is."""

PRETTY_DEPTH_MAX = 32
"""Of JSON that is laid out in lines: indented by its depth, 64 kB that go a thousand deep are a page of 50 MB."""

_BRACKET_OR_STRING = re.compile(r'[][{}]|"(?:[^"\\]|\\.)*"')

_SAID_IN = ("content", "parts", "contents")
"""Under which name a message has what it says, by convention."""

_BESIDE = frozenset({"role", "finish_reason"})
"""What else a message may have and still be nothing but words."""


def in_lines(text: str) -> str:
    """Lay JSON out in lines; anything else, and anything large or deep, stays as it is.

    Example:
        >>> print(in_lines('{"queue":"po-match"}'))
        {
          "queue": "po-match"
        }
    """
    if len(text) > PRETTY_CHARS_MAX or not text.startswith(("{", "[")) or _is_deep(text):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def laid_out(text: str) -> str:
    r"""Return a text as a person reads it, with nothing of it left out.

    A message that is nothing but words is those words. Of several each stands under its role, moved in, so that
    words which look like a role make no speaker. Messages with anything else in them stay JSON.

    Args:
        text: What the agent was given, or what it said.

    Example:
        >>> laid_out('[{"role":"user","parts":[{"type":"text","content":"Invoice\\nTotal: 5"}]}]')
        'Invoice\nTotal: 5'
    """
    if len(text) > PRETTY_CHARS_MAX:
        return text
    messages = messages_of(text)
    said = [_words(one) for one in messages]
    words = [one for one in said if one is not None]
    if not messages or len(words) < len(said):
        return in_lines(text)
    if len(words) == 1:
        return words[0]
    return "\n".join(
        f"{one['role']}\n" + "\n".join(f"  {line}" for line in told.split("\n"))
        for one, told in zip(messages, words, strict=True)
    )


def _words(message: Mapping[str, Any]) -> str | None:
    """Return what a message says, or None when it holds anything but words."""
    found = [name for name in message if name not in _BESIDE]
    if len(found) != 1 or found[0] not in _SAID_IN or not isinstance(message["role"], str):
        return None
    said = message[found[0]]
    parts = [said] if isinstance(said, str) else said if isinstance(said, list) else [None]
    told = [_part(one) for one in parts]
    return None if None in told else "\n".join(one for one in told if one is not None)


def _part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") == "text" and len(part) == len({"type", "text"}):
        said = part.get("text", part.get("content"))
        return said if isinstance(said, str) else None
    return None


def _is_deep(text: str) -> bool:
    """Whether brackets outside of strings go deeper than people read: each line is indented by its depth."""
    depth = 0
    for found in _BRACKET_OR_STRING.findall(text):
        depth += (found in {"[", "{"}) - (found in {"]", "}"})
        if depth > PRETTY_DEPTH_MAX:
            return True
    return False
