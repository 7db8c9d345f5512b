# SPDX-License-Identifier: Apache-2.0
"""Asks the permission desk before a tool call is sent, and turns a denial into an error for the agent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pilothouse.errors import ToolError
from pilothouse.ports.permissions import Decider
from pilothouse.ports.tools import ToolCall

__all__ = ["PermissionGuard"]


class PermissionGuard:
    """`ports.CallGuard` over a desk."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    def check(self, call: ToolCall) -> Callable[[], None] | None:
        """Allow a read that consumes no budget; every other call returns the rest of the check, which waits for a disk."""
        return None if self._decider.decide_read(call) is not None else partial(self._settle, call)

    def _settle(self, call: ToolCall) -> None:
        """Decide the call, and raise unless it is allowed.

        Raises:
            ToolError: It is denied, or a person is asked first.
        """
        decided = self._decider.decide(call)
        if decided.decision == "allow":
            return
        if decided.decision == "ask":
            raise ToolError(
                f"{call.tool} waits for a person: rule {decided.rule} is not proven",
                remedy=decided.remedy,
                kind="held",
                retryable=True,
                approval=decided.approval,
                subject=call.tool,
            )
        raise ToolError(
            f"{call.tool} is not allowed: rule {decided.rule}",
            remedy=decided.remedy,
            kind="permission",
            subject=call.tool,
        )
