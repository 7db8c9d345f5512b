# SPDX-License-Identifier: Apache-2.0
"""Answers of the protocol as they stand on the wire: made of our own data, and the data that a server's holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.errors import ToolError
from pilothouse.runtime.tools.governed import GovernedTool

__all__ = ["answer_of", "data_of"]


def answer_of(shown: Any, *, is_error: bool = False) -> dict[str, Any]:
    """Return what a model may read as an answer of the protocol.

    Args:
        shown: Plain JSON data.
        is_error: Whether it is a refusal.
    """
    return {
        "content": [{"type": "text", "text": json.dumps(shown, ensure_ascii=False)}],
        "structuredContent": shown if isinstance(shown, dict) else {"result": shown},
        "isError": is_error,
    }


def data_of(tool: GovernedTool, answer: Mapping[str, Any]) -> Any:
    """Return what the contract is held against: the structured content, or the content where there is none.

    Args:
        tool: The tool that was called.
        answer: What its server sent.

    Raises:
        ToolError: The server says that the call failed, or the content is larger than the contract allows.
    """
    content = answer.get("content", [])
    size = sum(len(str(value)) for part in content for value in part.values())
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
