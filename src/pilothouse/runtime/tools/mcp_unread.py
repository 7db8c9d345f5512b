# SPDX-License-Identifier: Apache-2.0
"""The proxy's own tools for values hidden from a model: reveal one, select among them, extract numbers from one."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mcp_types import Tool, ToolAnnotations

from pilothouse.errors import ToolError
from pilothouse.runtime.tools.contract_check import problem_of
from pilothouse.runtime.tools.runtime import ToolRuntime
from pilothouse.runtime.tools.schema import check_of
from pilothouse.runtime.tools.steps import Step

__all__ = ["UNREAD_TOOLS", "answer_about_unread"]

_NAME = {"type": "string", "maxLength": 400, "description": "`[[hidden 3: …]]`, as a result gave it."}
_NAMES = {"type": "array", "items": _NAME, "maxItems": 1_000}


def _tool(called: str, description: str, **properties: Any) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    hints = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
    return Tool(name=called, description=description, input_schema=schema, annotations=hints)


UNREAD_TOOLS = {
    one.name: one
    for one in (
        _tool(
            "pilothouse_reveal",
            "Read one hidden value. Afterwards every call that reaches outside needs a person, so pass hidden values "
            "on by their names where you can, and read them last.",
            name=_NAME,
        ),
        _tool(
            "pilothouse_matching",
            "Return which hidden values equal, start with or contain some words, without reading them.",
            names=_NAMES,
            how={"enum": ["equals", "starts_with", "contains"]},
            words={"type": "string", "maxLength": 1_000},
        ),
        _tool(
            "pilothouse_extract",
            "Return the numbers, dates, addresses … in a hidden value: numbers and dates as they are, others hidden.",
            name=_NAME,
            type={"type": "string", "maxLength": 100, "description": "number, date, email, url, iban …"},
        ),
    )
}
"""Tools that are listed where a charter hides untrusted fields."""

_CHECKS = {
    name: check_of(tool.input_schema, where=f"arguments of {name}") for name, tool in UNREAD_TOOLS.items()
}


def answer_about_unread(
    runtime: ToolRuntime, shown: str, args: dict[str, Any], run: str
) -> Generator[Step, Any, dict[str, Any]]:
    """Answer a call of one of these tools.

    Yields:
        What has to be waited for.

    Raises:
        ToolError: Wrong arguments, or nothing is hidden in this run.
    """
    problem = yield from problem_of(_CHECKS[shown], args)
    presenter = runtime.door.presenter
    unread = presenter.unread(run) if presenter is not None else None
    if problem is not None or unread is None:
        raise ToolError(
            f"{shown}: {problem or 'nothing is hidden in this run'}",
            remedy="Use names as results of this run gave them.",
            kind="invalid_input",
            subject=shown,
        )
    if shown == "pilothouse_reveal":
        return {"value": unread.reveal(args["name"])}
    if shown == "pilothouse_matching":
        return {"names": unread.matching(args["names"], args["how"], args["words"])}
    return {"found": unread.extract(args["name"], args["type"])}
