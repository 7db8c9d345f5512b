# SPDX-License-Identifier: Apache-2.0
"""What a request lets its provider take out of the conversation: nobody here sees what, so it is marked and not counted."""

from __future__ import annotations

from typing import Any

from pilothouse.runtime.context.conversation import conversation_items

__all__ = ["edits_of_provider"]

NAMES_MAX = 16
NAME_CHARS_MAX = 64
"""A request may ask for as many as it likes, under any name; the record keeps these of them."""


def edits_of_provider(route: str, document: dict[str, Any]) -> tuple[str, ...]:
    """Return by what a provider may shorten a request.

    Args:
        route: Path from `/v1` on.
        document: The parsed request.

    Example:
        >>> asked = {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}
        >>> edits_of_provider("/v1/messages", asked)
        ('clear_tool_uses_20250919',)
        >>> edits_of_provider("/v1/responses", {"input": [{"type": "compaction", "encrypted_content": "x"}]})
        ('compaction',)
    """
    found = ["compact"] if route.endswith("/compact") else []
    asked = document.get("context_management")
    listed = asked.get("edits") if isinstance(asked, dict) else asked
    if asked is not None:
        edits = listed if isinstance(listed, list) and listed else [None]
        found += [_kind(each) or "context_management" for each in edits]
    if document.get("truncation") not in {None, "disabled"}:
        found.append(f"truncation={document['truncation']}")
    for item in conversation_items(document):
        content = item.get("content")
        for one in (item, *(content if isinstance(content, list) else ())):
            if _kind(one).startswith("compaction"):
                found.append(_kind(one))
    return tuple(dict.fromkeys(name[:NAME_CHARS_MAX] for name in found))[:NAMES_MAX]


def _kind(one: Any) -> str:
    kind = one.get("type") if isinstance(one, dict) else None
    return kind if isinstance(kind, str) else ""
