# SPDX-License-Identifier: Apache-2.0
"""The change that a replay tests, applied to each request, so that changed requests no longer match the record."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.runtime.context.conversation import tool_results

__all__ = ["Substitution", "instructions_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """The changed part of a request; everything else stays as recorded.

    Attributes:
        model: Model to ask instead, or None.
        params: Parameters of the request by name, for example `temperature`.
        prompt: Instructions instead of the recorded ones, or None.
        tool_results: Results by call id.
        tool_contracts: Tool definitions by tool name, as the request carries them.
        code: Revision of the agent's code that runs, or None.
    """

    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    tool_results: Mapping[str, str] = field(default_factory=dict)
    tool_contracts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        return self == Substitution()

    def label(self) -> str:
        """Return what is changed, in words.

        Example:
            >>> Substitution(model="m-2", params={"temperature": 0}).label()
            'model=m-2, temperature=0'
        """
        parts = [f"model={self.model}"] if self.model else []
        parts += [f"{name}={value}" for name, value in self.params.items()]
        parts += ["prompt"] if self.prompt is not None else []
        parts += [f"tool_result({call})" for call in self.tool_results]
        parts += [f"tool_contract({name})" for name in self.tool_contracts]
        parts += [f"code={self.code}"] if self.code else []
        return ", ".join(parts) or "nothing"

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a request with the change in it; the same object when it is not touched.

        Example:
            >>> Substitution(model="m-2").apply({"model": "m-1"})
            {'model': 'm-2'}
        """
        changed = copy.deepcopy(document)
        if self.model is not None and "model" in changed:
            changed["model"] = self.model
        changed.update(self.params)
        if self.prompt is not None:
            _set_instructions(changed, self.prompt)
        for result in tool_results(changed):
            if result.call_id in self.tool_results:
                result.replace(self.tool_results[result.call_id])
        tools = changed.get("tools")
        for place, tool in enumerate(tools if isinstance(tools, list) else ()):
            name = _tool_name(tool)
            if name in self.tool_contracts:
                changed["tools"][place] = copy.deepcopy(dict(self.tool_contracts[name]))
        return document if changed == document else changed


def _set_instructions(document: dict[str, Any], prompt: str) -> None:
    for name in ("system", "instructions"):
        if name in document:
            document[name] = prompt
            return
    for name in ("messages", "input"):
        items = document.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("role") in ("system", "developer"):
                item["content"] = prompt
                return


def instructions_in(document: dict[str, Any]) -> str | None:
    """Return the instructions of a request, where `Substitution` would put others; None without any.

    Args:
        document: The request.

    Example:
        >>> instructions_in({"messages": [{"role": "system", "content": "Be brief."}]})
        'Be brief.'
    """
    for name in ("system", "instructions"):
        if name in document:
            return _joined(document[name])
    for name in ("messages", "input"):
        items = document.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("role") in ("system", "developer"):
                return _joined(item.get("content"))
    return None


def _joined(content: Any) -> str | None:
    """Return a text, or the texts of its parts; None for what is neither."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = [one["text"] for one in parts if isinstance(one, dict) and isinstance(one.get("text"), str)]
    return "\n".join(texts) if texts else None


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    function = tool.get("function")
    return str((function if isinstance(function, dict) else tool).get("name", ""))
