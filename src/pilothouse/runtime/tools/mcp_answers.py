# SPDX-License-Identifier: Apache-2.0
"""Convert between MCP results on the wire and plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.runtime.tools.governed import GovernedTool
from pilothouse.schemas.strict_json import strict_json

__all__ = ["answer_of", "data_of", "says_more"]

COUNTED = frozenset({"content", "structuredContent"})
"""Parts of an answer whose size is counted by themselves; the rest, `_meta` among it, goes to the client as it came."""


def answer_of(shown: Any, *, is_error: bool = False) -> dict[str, Any]:
    """Return what a model may read as an answer of the protocol."""
    return {
        "content": [{"type": "text", "text": json.dumps(shown, ensure_ascii=False)}],
        "structuredContent": shown if isinstance(shown, dict) else {"result": shown},
        "isError": is_error,
    }


def data_of(tool: GovernedTool, answer: Mapping[str, Any]) -> Any:
    """Return the data that the contract checks: the structured content, or the content when there is none.

    Raises:
        ToolError: The server says that the call failed, or what it says beside its structured content, whatever it is
            called, is larger than the contract allows.
    """
    content = answer.get("content", [])
    size = sum(len(str(value)) for part in content for value in part.values())
    size += sum(len(str(said)) for name, said in answer.items() if name not in COUNTED)
    if size > tool.contract.result_bytes_max:
        raise ToolError(
            f"{tool.name}: its answer is larger than the contract allows",
            remedy="Ask for less.",
            kind="contract_violation",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    if answer.get("isError"):
        raise ToolError(
            f"{tool.name}: the server says that the call failed",
            remedy="Check the arguments, or go on without it.",
            kind="upstream_bug",
            side_effect="none" if tool.effect == "read" else "unknown",
            subject=tool.name,
        )
    structured = answer.get("structuredContent")
    return structured if structured is not None else {"content": content}


def says_more(answer: Mapping[str, Any]) -> bool:
    """Whether the content of an answer holds more than its structured content, which alone was checked and labelled."""
    structured = answer.get("structuredContent")
    if structured is None:
        return False
    return not all(
        part.get("type") == "text"
        and set(part) <= {"type", "text"}
        and _repeats(part.get("text"), structured)
        for part in answer.get("content", ())
    )


def _repeats(text: Any, structured: Any) -> bool:
    """Whether a text is the structured content as JSON, or one value of it."""
    if isinstance(structured, dict) and any(
        text == one for one in structured.values() if isinstance(one, str)
    ):
        return True
    try:
        return bool(strict_json(text) == structured)
    except (TypeError, ValueError, RecursionError):
        return False
