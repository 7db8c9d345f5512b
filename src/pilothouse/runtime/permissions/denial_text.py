# SPDX-License-Identifier: Apache-2.0
"""The text of a denial: the rule in words, never a value or another tool's policy."""

from __future__ import annotations

from pilothouse.core.charter.policy import BUDGET, ENTITLED
from pilothouse.runtime.permissions.engine import CompiledTool

__all__ = ["remedy_for"]

_FIXED = {
    ENTITLED: "This task type has no such tool. Do without it.",
    BUDGET: "The budget of this tool is used up. Stop and say what is left to do.",
    "killed": "A person stopped this tool. Stop and say so.",
    "engine": "The call could not be decided. Stop and say so; the operator runs `pilothouse policy test`.",
}


def remedy_for(tool: CompiledTool, rule: str | None, decision: str) -> str:
    """Return the remedy that the agent is told.

    Args:
        tool: The tool.
        rule: The rule that decided, or None.
        decision: What was decided.
    """
    if rule is None:
        return ""
    if rule in _FIXED:
        return _FIXED[rule]
    argument = tool.arguments.get(rule)
    if argument is None:
        return f"The tool has no argument {rule}. Leave it out."
    bare = f" Argument {rule} may hold no personal data." if argument.pii == "none" else ""
    if decision == "ask":
        return f"A person is asked about exactly this call. Make the same call again once they have agreed.{bare}"
    if argument.role == "payload":
        return f"Argument {rule} must be of type {argument.type} within its limits, and name nobody whom the request does not name.{bare}"
    accepted = ", ".join(argument.origins) if isinstance(argument.origins, tuple) else "nobody yet"
    return f"Argument {rule} must be of type {argument.type} within its limits, and come from: {accepted}."
