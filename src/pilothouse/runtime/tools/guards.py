# SPDX-License-Identifier: Apache-2.0
"""The refusal that needs no argument to be looked at: paused or rolled back."""

from __future__ import annotations

from pilothouse.errors import ToolError
from pilothouse.ports.controls import Controls
from pilothouse.ports.tools import ToolCall

__all__ = ["PauseGuard"]


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
