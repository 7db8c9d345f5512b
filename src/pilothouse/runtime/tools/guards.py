# SPDX-License-Identifier: Apache-2.0
"""Guards that do not depend on arguments: pause, rollback, and outages of drills."""

from __future__ import annotations

from datetime import UTC, datetime

from pilothouse.errors import ToolError
from pilothouse.ports.controls import Controls
from pilothouse.ports.planted import FaultKind, planted_for
from pilothouse.ports.tools import ToolCall

__all__ = ["OutageGuard", "PauseGuard"]


class PauseGuard:
    """Refuses what a person has paused or rolled back."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def check(self, call: ToolCall) -> None:
        """Raise when agent, tool or version is stopped.

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


class OutageGuard:
    """Holds the breaker of an integration open as long as a drill says so: its tools are not called.

    Args:
        controls: What is in force.
        environment: Deployment environment of this process, or None when nobody says.
    """

    def __init__(self, controls: Controls, environment: str | None) -> None:
        self._controls = controls
        self._environment = environment

    def check(self, call: ToolCall) -> None:
        """Raise when the integration is down for a drill.

        Raises:
            ToolError: It is; the same error as of a breaker that opened by itself.
        """
        planted = self._controls.state().planted
        if not planted:
            return
        now = datetime.now(UTC)
        fault = planted_for(
            planted,
            call.agent,
            FaultKind.TOOL_OUTAGE,
            environment=self._environment,
            now=now,
            integration=call.integration,
        )
        if fault is None:
            return
        left_s = (fault.until - now).total_seconds()
        raise ToolError(
            f"{call.tool}: {call.integration} is failing, so it is not asked now",
            remedy=f"Go on without it, or try again in {max(1.0, left_s):.0f} s.",
            kind="circuit_open",
            retryable=True,
            retry_after_s=left_s,
            subject=call.tool,
        )
