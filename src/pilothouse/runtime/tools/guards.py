# SPDX-License-Identifier: Apache-2.0
"""The refusals that need no argument to be looked at: paused, or no tool of this task type."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.systems import Tool
from pilothouse.errors import ToolError
from pilothouse.ports import Controls, ToolCall

__all__ = ["EntitlementGuard", "PauseGuard"]


class PauseGuard:
    """Refuses what a person has paused or rolled back.

    Args:
        controls: What is in force.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def check(self, call: ToolCall) -> None:
        """Let the call pass unless agent, tool or version is stopped.

        Raises:
            ToolError: It is.
        """
        refusal = self._controls.state().refusal_of(call.agent, version=call.version, tool=call.tool)
        if refusal is not None:
            raise ToolError(
                refusal,
                remedy="Stop and say so; a person decides when it goes on.",
                kind="permission",
                subject=call.tool,
            )


class EntitlementGuard:
    """Refuses a tool that the task's type does not list: never asked, because asking trains people to click.

    Args:
        tools: Policies by tool.
    """

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._types = {name: frozenset(known(tool.task_types) or ()) for name, tool in tools.items()}

    def check(self, call: ToolCall) -> None:
        """Let the call pass when its task type lists the tool; a read also outside any declared type.

        Raises:
            ToolError: It does not.
        """
        types = self._types.get(call.tool, frozenset())
        if call.task_type in types or (call.task_type == "unknown" and call.effect == "read"):
            return
        raise ToolError(
            f"{call.tool} is no tool of task type {call.task_type}",
            remedy="Do without it; the owner may add the task type under `tools:` of the charter.",
            kind="permission",
            subject=call.tool,
        )
