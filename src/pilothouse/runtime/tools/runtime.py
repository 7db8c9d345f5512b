# SPDX-License-Identifier: Apache-2.0
"""The composed tool layer of one agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import ToolError

if TYPE_CHECKING:
    from pilothouse.ports.permissions import Decider
    from pilothouse.runtime.tools.door import Door
    from pilothouse.runtime.tools.governed import GovernedTool

__all__ = ["ToolRuntime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRuntime:
    """The composed tool layer of one agent.

    Attributes:
        agent: Agent id.
        version: Version digest, or None when nobody says.
        tools: Tools by `name@version`; anything else is refused.
        door: Guards, observers and store.
        tasks: Opens tasks; None where no boundary decides.
    """

    agent: str
    version: str | None
    tools: Mapping[str, GovernedTool]
    door: Door
    tasks: Decider | None = None

    def tool(self, name: str) -> GovernedTool:
        """Return a tool.

        Raises:
            ToolError: The charter does not declare it, and what is not said is denied.
        """
        found = self.tools.get(name)
        if found is None:
            raise ToolError(
                f"{name} is not declared in the charter of {self.agent}, or its contract file is missing",
                remedy="Do not call it; the owner declares it under `tools:` and runs `pilothouse check`.",
                kind="permission",
                subject=name,
            )
        return found
