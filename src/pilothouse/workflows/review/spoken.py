# SPDX-License-Identifier: Apache-2.0
"""What was asked and what was answered, out of the lists of messages that frameworks write into their spans."""

from __future__ import annotations

import json
from typing import Any

from pilothouse.core.evidence.messages import messages_of

__all__ = ["as_answered", "as_asked"]

USER_ROLES = frozenset({"user", "human"})
ASSISTANT_ROLES = frozenset({"assistant", "ai", "model"})


def as_asked(text: str) -> str:
    """Return a conversation up to the user's last words: what comes after is what the agent did, its answer too.

    A case that is made of the item would hand the answer to whoever is asked, and a reviewer would read it twice.

    Args:
        text: A JSON list of messages, or any other text, which stays as it is.

    Example:
        >>> as_asked('[{"role":"user","content":"Is it paid?"},{"role":"assistant","content":"Yes."}]')
        '[{"role": "user", "content": "Is it paid?"}]'
    """
    messages = messages_of(text)
    asked = [at for at, one in enumerate(messages) if one.get("role") in USER_ROLES and _words(one)]
    if not asked or asked[-1] == len(messages) - 1:
        return text
    return json.dumps(messages[: asked[-1] + 1], ensure_ascii=False)


def as_answered(text: str) -> str:
    """Return the last words of the assistant: what a candidate's answer is compared with.

    Args:
        text: A JSON list of messages, or any other text, which stays as it is.

    Example:
        >>> as_answered('[{"role":"assistant","parts":[{"type":"text","content":"Yes."}]}]')
        'Yes.'
    """
    said = [
        words for one in messages_of(text) if one.get("role") in ASSISTANT_ROLES and (words := _words(one))
    ]
    return said[-1] if said else text


def _words(message: dict[str, Any]) -> str:
    """Return the text of a message; a tool's result has none, whoever's role it stands under."""
    for name in ("content", "parts", "contents"):
        said = message.get(name)
        if isinstance(said, str) and said:
            return said
        parts = said if isinstance(said, list) else []
        words = [word for part in parts if (word := _part_words(part))]
        if words:
            return " ".join(words)
    return ""


def _part_words(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        return next((part[name] for name in ("text", "content") if isinstance(part.get(name), str)), "")
    return ""
